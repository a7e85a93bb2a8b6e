import type { ClientHttp2Session, ServerHttp2Session, Settings } from "node:http2";
import type { Clock } from "../base/clock.ts";

/**
 * HTTP/2 settings of both sides. The protocol's default windows of 64 KiB stall a stream once per round trip; 16 MiB
 * for the stream *and* for the session keep a fast link busy.
 */
export const WINDOW_BYTES = 16 * 1024 * 1024;
/** Request headers of more bytes are refused. */
export const MAX_HEADER_BYTES = 16 * 1024;
/** Megabytes of queued data and stream state per connection before new streams are refused. */
export const MAX_SESSION_MEMORY_MB = 256;

export const SETTINGS: Settings = {
  initialWindowSize: WINDOW_BYTES,
  maxHeaderListSize: MAX_HEADER_BYTES,
  enablePush: false,
};

export interface KeepaliveOptions {
  /** Time between pings in ms; 0 turns them off. Default 10,000 (gRPC's GRPC_ARG_KEEPALIVE_TIME_MS). */
  readonly intervalMs?: number;
  /** A ping without an answer for so long ends the connection. Default 5,000 (GRPC_ARG_KEEPALIVE_TIMEOUT_MS). */
  readonly timeoutMs?: number;
}

/** Pings `session` until it closes; calls `onDead` (once) when a ping stays unanswered. */
export function startKeepalive(
  session: ClientHttp2Session | ServerHttp2Session,
  options: KeepaliveOptions & { clock: Clock; onDead: () => void },
): void {
  const intervalMs = options.intervalMs ?? 10_000;
  const timeoutMs = options.timeoutMs ?? 5_000;
  if (intervalMs <= 0) return;
  const { clock } = options;
  let cancel: () => void = () => {};
  const schedule = (): void => {
    cancel = clock.after(intervalMs, ping);
  };
  const ping = (): void => {
    if (session.closed || session.destroyed) return;
    cancel = clock.after(timeoutMs, options.onDead);
    const sent = session.ping((error: Error | null) => {
      cancel();
      if (error === null && !session.destroyed) schedule();
    });
    // Too many unanswered pings are out already: the timeout above decides.
    if (!sent) return;
  };
  session.once("close", () => cancel());
  schedule();
}
