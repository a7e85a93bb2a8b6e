import type { FastifyInstance } from "fastify";
import { Agent, request as send } from "undici";
import { messageOf } from "../../base/errors.ts";
import { OTLP_MAX_BYTES } from "../../remote/otlp-receiver.ts";
import { limitRequests } from "../request-limit.ts";

/** A shard that is written to. */
export interface WriteTarget {
  readonly id: string;
  /** `host:port` of its HTTP API; "" while it is down. */
  readonly http: string;
}

export interface WriteRoutesOptions {
  /** One shard of each replica group: all get what is written. */
  readonly targets: () => readonly WriteTarget[];
  readonly takesWrite: boolean;
  readonly takesOtlp: boolean;
  /** Bytes of a remote write request as sent. */
  readonly maxBodyBytes: number;
  /** Requests passed on at the same time; further ones are told to come again. */
  readonly maxRequests: number;
}

/** Senders wait for an answer about as long before they try again. */
const SHARD_TIMEOUT_MS = 30_000;
/** Connections to each shard. */
const SHARD_CONNECTIONS = 16;
const RETRY_AFTER_SECONDS = 1;

const PASSED_ON = ["content-type", "content-encoding", "x-prometheus-remote-write-version"];
const PASSED_BACK = [
  "content-type",
  "retry-after",
  "x-prometheus-remote-write-samples-written",
  "x-prometheus-remote-write-histograms-written",
  "x-prometheus-remote-write-exemplars-written",
];

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** Passes `POST /api/v1/write` and OTLP on to shards, unread: it is they who judge what is sent (docs/remote.md). */
export function registerWriteRoutes(app: FastifyInstance, options: WriteRoutesOptions): void {
  const { targets, takesWrite, takesOtlp, maxBodyBytes, maxRequests } = options;
  const agent = new Agent({
    connections: SHARD_CONNECTIONS,
    headersTimeout: SHARD_TIMEOUT_MS,
    bodyTimeout: SHARD_TIMEOUT_MS,
  });
  app.addHook("onClose", () => agent.close());
  const onRequest = limitRequests(maxRequests);
  const pass = (
    path: string,
    { isOn, refusal, bodyLimit }: { isOn: boolean; refusal: string; bodyLimit: number },
  ): void => {
    if (!isOn) {
      app.post(path, async (_request, reply) =>
        reply.code(404).type("text/plain; charset=utf-8").send(`${refusal}\n`),
      );
      return;
    }
    void app.register(async (scope) => {
      scope.removeAllContentTypeParsers();
      scope.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) =>
        done(null, body),
      );
      scope.post(path, { bodyLimit, onRequest }, async (request, reply) => {
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
        const headers = chosen(request.headers, PASSED_ON);
        const answers = await Promise.all(
          targets().map((target) => passOn(agent, target, { path, headers, body })),
        );
        const { status, headers: back, text } = worstOf(answers);
        return reply.code(status).headers(back).send(text);
      });
    });
  };
  pass("/api/v1/write", {
    isOn: takesWrite,
    refusal: "remote write receiver needs to be enabled with --web.enable-remote-write-receiver",
    bodyLimit: maxBodyBytes,
  });
  pass("/api/v1/otlp/v1/metrics", {
    isOn: takesOtlp,
    refusal: "otlp write receiver needs to be enabled with --web.enable-otlp-receiver",
    bodyLimit: OTLP_MAX_BYTES,
  });
}

/** What must be sent again goes before what never will be taken, and that before what is stored. */
function worstOf(answers: readonly Answer[]): Answer {
  return answers.reduce(
    (worst, answer) => (worst.status >= answer.status ? worst : answer),
    answers[0] ?? comeAgain("there are no shards yet"),
  );
}

async function passOn(
  agent: Agent,
  { id, http }: WriteTarget,
  message: { path: string; headers: Record<string, string>; body: Buffer },
): Promise<Answer> {
  if (http === "") return comeAgain(`shard ${id} is down`);
  const { path, headers, body } = message;
  try {
    const response = await send(`http://${http}${path}`, {
      method: "POST",
      dispatcher: agent,
      headers,
      body,
    });
    return {
      status: response.statusCode,
      headers: chosen(response.headers, PASSED_BACK),
      text: await response.body.text(),
    };
  } catch (error) {
    return comeAgain(`cannot write to shard ${id}: ${messageOf(error)}`);
  }
}

function comeAgain(why: string): Answer {
  return {
    status: 503,
    headers: {
      "content-type": "text/plain; charset=utf-8",
      "retry-after": String(RETRY_AFTER_SECONDS),
    },
    text: `${why}\n`,
  };
}

function chosen(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}
