import type { FastifyInstance } from "fastify";
import type { WriteAnswer, WriteReceiver } from "../remote/write-receiver.ts";
import { limitRequests } from "./request-limit.ts";
import { tellToComeAgain } from "./storage-refusal.ts";

/** Where Prometheus servers, agents and collectors write to: `POST /api/v1/write` (docs/remote.md). */
export interface RemoteWriteApiOptions {
  /** Undefined when receiving is switched off. */
  readonly receiver: WriteReceiver | undefined;
  /** Bytes of a request as sent. */
  readonly maxBodyBytes: number;
  /** Requests read and stored at the same time; further ones are told to come again. */
  readonly maxRequests: number;
}

export function registerRemoteWriteApi(app: FastifyInstance, options: RemoteWriteApiOptions): void {
  const { receiver, maxBodyBytes, maxRequests } = options;
  if (receiver === undefined) {
    app.post("/api/v1/write", async (_request, reply) =>
      reply
        .code(404)
        .type("text/plain; charset=utf-8")
        .send(
          "remote write receiver needs to be enabled with --web.enable-remote-write-receiver\n",
        ),
    );
    return;
  }
  app.post("/api/v1/write", {
    bodyLimit: maxBodyBytes,
    onRequest: limitRequests(maxRequests),
    async handler(request, reply) {
      const { body } = request;
      let answer: WriteAnswer;
      try {
        answer = await receiver.receive({
          contentType: request.headers["content-type"],
          contentEncoding: request.headers["content-encoding"],
          // Other media types than ours may have been parsed; they are refused by their type.
          body: Buffer.isBuffer(body) ? body : new Uint8Array(0),
        });
      } catch (error) {
        return tellToComeAgain(reply, error);
      }
      if (answer.written !== undefined)
        reply
          .header("X-Prometheus-Remote-Write-Samples-Written", answer.written.samples)
          .header("X-Prometheus-Remote-Write-Histograms-Written", answer.written.histograms)
          .header("X-Prometheus-Remote-Write-Exemplars-Written", answer.written.exemplars);
      reply.code(answer.status);
      if (answer.text === "") return reply.send();
      return reply.type("text/plain; charset=utf-8").send(`${answer.text}\n`);
    },
  });
}
