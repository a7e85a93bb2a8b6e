import { STATUS_CODES } from "node:http";
import { AppError } from "../base/errors.ts";
import type { HttpClient, HttpRequest, HttpResponse } from "../http/client.ts";
import { drain } from "../http/read-body.ts";
import { type Body, BodyCollector, type CollectOptions } from "./read-body.ts";

/** How much of an error answer's body is read to keep its connection. */
const ERROR_BODY_MAX_BYTES = 1 << 16;

export interface FetchedBody {
  readonly body: Body;
  readonly contentType: string | undefined;
}

/** Asks a target and reads its answer into a buffer of the pool. Throws for any status but 200. */
export async function fetchBody(
  client: HttpClient,
  request: Omit<HttpRequest, "sink">,
  options: CollectOptions,
): Promise<FetchedBody> {
  const sink = new BodyCollector(options);
  try {
    const response = await client.request({ ...request, sink });
    if (response.status !== 200) await refuse(response);
    // Nothing is left here unless the client knows no sinks.
    let isFirst = true;
    for await (const piece of response.body) {
      if (isFirst) sink.start(response.headers);
      isFirst = false;
      sink.write(piece);
    }
    return { body: await sink.finish(), contentType: response.headers.get("content-type") };
  } catch (error) {
    sink.discard();
    throw error;
  }
}

async function refuse(response: HttpResponse): Promise<never> {
  // Whatever goes wrong with the rest of a refused answer does not matter any more.
  await drain(response.body, ERROR_BODY_MAX_BYTES).catch(() => {});
  throw new AppError(
    "unavailable",
    // HTTP/2 has no reason phrases; Go fills in the usual ones.
    `server returned HTTP status ${response.status} ${response.statusText || (STATUS_CODES[response.status] ?? "")}`.trimEnd(),
  );
}
