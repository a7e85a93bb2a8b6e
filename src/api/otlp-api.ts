import type { FastifyInstance } from "fastify";
import { OTLP_MAX_BYTES, type OtlpReceiver } from "../remote/otlp-receiver.ts";
import { tellToComeAgain } from "./storage-refusal.ts";

/** Where OpenTelemetry's collectors and SDKs write to: `POST /api/v1/otlp/v1/metrics` (docs/remote.md). */
export function registerOtlpApi(app: FastifyInstance, receiver: OtlpReceiver | undefined): void {
  const path = "/api/v1/otlp/v1/metrics";
  if (receiver === undefined) {
    app.post(path, async (_request, reply) =>
      reply
        .code(404)
        .type("text/plain; charset=utf-8")
        .send("otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n"),
    );
    return;
  }
  // Bodies of every type as bytes: JSON may be compressed.
  void app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) =>
      done(null, body),
    );
    scope.post(path, { bodyLimit: OTLP_MAX_BYTES }, async (request, reply) => {
      let problem: string;
      try {
        problem = await receiver.receive({
          contentType: request.headers["content-type"],
          contentEncoding: request.headers["content-encoding"],
          body: Buffer.isBuffer(request.body) ? request.body : new Uint8Array(0),
        });
      } catch (error) {
        return tellToComeAgain(reply, error);
      }
      if (problem === "") return reply.code(200).send();
      return reply.code(400).type("text/plain; charset=utf-8").send(`${problem}\n`);
    });
  });
}
