/** How a fake API server answers: JSON, and what is not a success as the API's `Status`. */
import type { ServerResponse } from "node:http";
import { pipeline, Readable } from "node:stream";

const STATUS_WORDS: Readonly<Record<number, string>> = {
  400: "BadRequest",
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  405: "MethodNotAllowed",
  409: "Conflict",
  410: "Expired",
  415: "UnsupportedMediaType",
  422: "Invalid",
  429: "TooManyRequests",
  500: "InternalError",
  503: "ServiceUnavailable",
  504: "Timeout",
};

/** An answer that is not a success. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, message: string, reason = STATUS_WORDS[status] ?? "Unknown") {
    super(message);
    this.status = status;
    this.reason = reason;
  }

  body(): unknown {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: {},
      status: "Failure",
      message: this.message,
      reason: this.reason,
      code: this.status,
    };
  }
}

/** Item by item: all objects of a large cluster are more than a string holds. */
export function sendList(
  response: ServerResponse,
  { items, ...rest }: { readonly items: readonly unknown[] },
): void {
  response.writeHead(200, { "content-type": "application/json" });
  function* pieces(): Generator<string> {
    yield `${JSON.stringify(rest).slice(0, -1)},"items":[`;
    for (const [i, item] of items.entries()) yield (i === 0 ? "" : ",") + JSON.stringify(item);
    yield "]}";
  }
  // A client that goes away before the end is no failure.
  pipeline(Readable.from(pieces()), response, () => {});
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(JSON.stringify(body));
}
