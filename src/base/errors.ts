/**
 * The program's expected and environmental failures. A programmer's error is an `assert` that crashes; everything
 * else that can go wrong is an `AppError` with a code from this closed list, mapped once to HTTP and once to gRPC.
 */
export type ErrorCode =
  | "bad-data" // the caller's input is wrong: a query, a config file, a flag
  | "execution" // a valid request that cannot be computed (PromQL runtime errors)
  | "refused" // a valid request that by its own content costs too much, whoever is asked
  | "not-found"
  | "forbidden" // switched off, or not for whoever asks
  | "not-acceptable"
  | "already-exists" // a data folder or port that another process owns
  | "resource-exhausted" // a named limit was hit
  | "timeout"
  | "canceled"
  | "outdated" // the caller acts under an epoch that a later leader has ended
  | "unavailable" // a peer is down or not ready
  | "corrupt" // bytes on disk or on the wire that break their format
  | "internal";

export class AppError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "AppError";
    this.code = code;
  }

  /** Any thrown value as an AppError: itself if it is one, else `internal` (or `code`) with the value as cause. */
  static from(thrown: unknown, code: ErrorCode = "internal"): AppError {
    if (thrown instanceof AppError) return thrown;
    if (isAbort(thrown))
      return new AppError("canceled", "the operation was canceled", { cause: thrown });
    return new AppError(code, messageOf(thrown), { cause: thrown });
  }
}

/** The text of any thrown value. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

export function isAbort(thrown: unknown): boolean {
  return (
    thrown instanceof Error &&
    (thrown.name === "AbortError" || ("code" in thrown && thrown.code === "ABORT_ERR"))
  );
}

/** The system's error code (`ENOENT`, `EADDRINUSE`, …) of a thrown value, if it has one. */
export function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string"
    ? thrown.code
    : undefined;
}

/** Whether the system said that there is no space left, to a write or to what such an error is the cause of. */
export function isDiskFull(thrown: unknown): boolean {
  const code = systemCode(thrown) ?? "";
  if (DISK_FULL.has(code)) return true;
  return thrown instanceof Error && thrown.cause !== undefined && isDiskFull(thrown.cause);
}

const DISK_FULL: ReadonlySet<string> = new Set(["ENOSPC", "EDQUOT", "EFBIG"]);

/** Crashes on a programmer's error; never for input, peers or disks. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`BUG: ${message}`);
}

export function assertNever(value: never): never {
  throw new Error(`BUG: unexpected case ${JSON.stringify(value)}`);
}
