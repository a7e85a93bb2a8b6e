import { AppError, assertNever, type ErrorCode } from "../base/errors.ts";

/** gRPC's status codes, as they stand in the `grpc-status` trailer. */
export const GRPC_STATUS = {
  ok: 0,
  canceled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** A call that ended with a status other than OK; `status` is the exact number the peer sent. */
export class GrpcError extends AppError {
  readonly status: number;

  constructor(status: number, message: string, options?: { cause?: unknown }) {
    super(codeOfStatus(status), message, options);
    this.name = "GrpcError";
    this.status = status;
  }
}

/** The one mapping from the program's error codes to gRPC's. */
export function statusOf(error: AppError): number {
  return error instanceof GrpcError ? error.status : statusOfCode(error.code);
}

function statusOfCode(code: ErrorCode): number {
  switch (code) {
    case "bad-data":
    case "not-acceptable":
      return GRPC_STATUS.invalidArgument;
    case "execution":
      // What Thanos answers when a query cannot be completed under the abort strategy.
      return GRPC_STATUS.aborted;
    case "refused":
      // No store of Thanos answers this, so that it means nothing else.
      return GRPC_STATUS.outOfRange;
    case "not-found":
      return GRPC_STATUS.notFound;
    case "forbidden":
      return GRPC_STATUS.permissionDenied;
    case "already-exists":
      return GRPC_STATUS.alreadyExists;
    case "resource-exhausted":
      return GRPC_STATUS.resourceExhausted;
    case "timeout":
      return GRPC_STATUS.deadlineExceeded;
    case "canceled":
      return GRPC_STATUS.canceled;
    case "outdated":
      return GRPC_STATUS.failedPrecondition;
    case "unavailable":
      return GRPC_STATUS.unavailable;
    case "corrupt":
      return GRPC_STATUS.dataLoss;
    case "internal":
      return GRPC_STATUS.internal;
    default:
      return assertNever(code);
  }
}

/** The way back: what a peer's status means to this program. */
export function codeOfStatus(status: number): ErrorCode {
  switch (status) {
    case GRPC_STATUS.canceled:
      return "canceled";
    case GRPC_STATUS.invalidArgument:
    case GRPC_STATUS.failedPrecondition:
      return "bad-data";
    case GRPC_STATUS.outOfRange:
      return "refused";
    case GRPC_STATUS.deadlineExceeded:
      return "timeout";
    case GRPC_STATUS.notFound:
    case GRPC_STATUS.unimplemented:
      return "not-found";
    case GRPC_STATUS.alreadyExists:
      return "already-exists";
    case GRPC_STATUS.resourceExhausted:
      return "resource-exhausted";
    case GRPC_STATUS.aborted:
      return "execution";
    case GRPC_STATUS.unavailable:
    case GRPC_STATUS.permissionDenied:
    case GRPC_STATUS.unauthenticated:
      return "unavailable";
    case GRPC_STATUS.dataLoss:
      return "corrupt";
    default:
      return "internal";
  }
}

/** What gRPC says an HTTP status without a `grpc-status` stands for (a proxy answered instead of the server). */
export function statusOfHttp(httpStatus: number): number {
  switch (httpStatus) {
    case 400:
      return GRPC_STATUS.internal;
    case 401:
      return GRPC_STATUS.unauthenticated;
    case 403:
      return GRPC_STATUS.permissionDenied;
    case 404:
      return GRPC_STATUS.unimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GRPC_STATUS.unavailable;
    default:
      return GRPC_STATUS.unknown;
  }
}

/** A status text as the `grpc-message` trailer carries it: UTF-8, with all but printable ASCII (and `%`) escaped. */
export function encodeStatusMessage(message: string): string {
  if (/^[ -$&-~]*$/.test(message)) return message;
  let encoded = "";
  for (const byte of Buffer.from(message, "utf8"))
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  return encoded;
}

/** The text of a `grpc-message`; a malformed escape is kept as it stands. */
export function decodeStatusMessage(encoded: string): string {
  if (!encoded.includes("%")) return encoded;
  const bytes: number[] = [];
  for (let i = 0; i < encoded.length; i++) {
    const escape = /^%([0-9a-fA-F]{2})/.exec(encoded.slice(i, i + 3));
    if (escape === null) bytes.push(encoded.charCodeAt(i) & 0xff);
    else {
      bytes.push(Number.parseInt(escape[1]!, 16));
      i += 2;
    }
  }
  return Buffer.from(bytes).toString("utf8");
}
