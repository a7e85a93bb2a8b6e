import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { describe, KubeError, type Asked, type Status } from "./kube-error.ts";
import type { KubeObject } from "./resources.ts";

/** The API keeps objects below 1.5 MiB; a line beyond this is not an event. */
const EVENT_MAX_BYTES = 32 << 20;
/**
 * Servers that send bookmarks send one a minute. Once a stream has brought one, this much silence means that its
 * connection is dead, though nobody said so.
 */
const SILENCE_MAX_MS = 180_000;

export type WatchEvent<T> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  /** Nothing changed up to this version. */
  | { readonly type: "BOOKMARK"; readonly object: KubeObject };

interface RawEvent {
  readonly type?: string;
  readonly object?: unknown;
}

/**
 * The events of a watch: one JSON object a line. Throws the server's error event as a `KubeError`. `silence` is aborted,
 * which must end `body`, when the stream has died.
 */
export async function* readEvents<T extends KubeObject>(
  body: AsyncIterable<Uint8Array>,
  options: { readonly asked: Asked; readonly clock: Clock; readonly silence: AbortController },
): AsyncGenerator<WatchEvent<T>> {
  const { asked, clock, silence } = options;
  let cancelTimer: (() => void) | undefined;
  let hasBookmarks = false;
  const listen = (): void => {
    cancelTimer?.();
    if (hasBookmarks)
      cancelTimer = clock.after(SILENCE_MAX_MS, () =>
        silence.abort(
          new AppError("unavailable", `the watch was silent for ${SILENCE_MAX_MS / 1000} s`),
        ),
      );
  };
  try {
    for await (const line of lines(body)) {
      const event = parse(line, asked);
      if (event.type === "BOOKMARK") hasBookmarks = true;
      listen();
      if (event.type === "ERROR") throw toError(asked, event.object as Status);
      if (isEvent<T>(event)) yield event;
    }
  } catch (error) {
    // A stream that was held open beyond its time is as good as one that ended in time.
    if (!(error instanceof AppError) || error instanceof KubeError || error.code !== "timeout")
      throw error;
  } finally {
    cancelTimer?.();
  }
}

/** The lines of `body` that are not empty. One that the end of the stream cut off is dropped. */
async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let pending: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(0x0a, start);
      if (end === -1) break;
      pending.push(chunk.subarray(start, end));
      const line = Buffer.concat(pending).toString("utf8");
      pending = [];
      size = 0;
      start = end + 1;
      if (line.trim() !== "") yield line;
    }
    if (start === chunk.length) continue;
    pending.push(chunk.subarray(start));
    size += chunk.length - start;
    if (size > EVENT_MAX_BYTES)
      throw new AppError(
        "resource-exhausted",
        `cannot read the watch: an event has more than ${EVENT_MAX_BYTES} bytes`,
      );
  }
}

function parse(line: string, asked: Asked): RawEvent {
  try {
    return JSON.parse(line) as RawEvent;
  } catch (error) {
    throw new AppError(
      "unavailable",
      `cannot ${describe(asked)}: an event is not JSON: ${messageOf(error)}`,
      { cause: error },
    );
  }
}

/** Event types of later servers are not understood, and skipped. */
function isEvent<T>(event: RawEvent): event is WatchEvent<T> {
  return (
    (event.type === "ADDED" ||
      event.type === "MODIFIED" ||
      event.type === "DELETED" ||
      event.type === "BOOKMARK") &&
    typeof event.object === "object" &&
    event.object !== null
  );
}

function toError(asked: Asked, status: Status): KubeError {
  const seconds = status.details?.retryAfterSeconds;
  return new KubeError(asked, {
    status: status.code ?? 500,
    reason: status.reason ?? "",
    message: status.message ?? "the API server ended the watch with an error",
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}
