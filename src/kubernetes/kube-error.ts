import { AppError, type ErrorCode } from "../base/errors.ts";

/** The body of an answer that is not a success, and of a watch's ERROR event. */
export interface Status {
  readonly kind?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly code?: number;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** What was asked, for messages: `list pods in namespace "a"`. */
export interface Asked {
  readonly verb: string;
  /** As `describeType` gives it, with the subresource behind a slash. */
  readonly resource: string;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** An answer of the API server that is not a success. Branch on `status` and `reason`. */
export class KubeError extends AppError {
  /** The HTTP status. */
  readonly status: number;
  /** The API's word for it: `NotFound`, `AlreadyExists`, `Conflict`, `Expired`, `Forbidden`, …; "" when it gave none. */
  readonly reason: string;
  /** How long the server asks to wait before the next try. */
  readonly retryAfterMs: number | undefined;

  constructor(
    asked: Asked,
    answer: {
      readonly status: number;
      readonly reason: string;
      readonly message: string;
      readonly retryAfterMs: number | undefined;
    },
  ) {
    super(
      codeOf(answer.status, answer.reason),
      `cannot ${describe(asked)}: ${explain(asked, answer)}`,
    );
    this.name = "KubeError";
    this.status = answer.status;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
  }

  /** The object was changed by someone else meanwhile: read it again and decide anew. */
  get isConflict(): boolean {
    return this.status === 409 && this.reason !== "AlreadyExists";
  }

  /** The resource version asked for is no longer known: list again. */
  get isGone(): boolean {
    return this.status === 410;
  }
}

/** Whether `thrown` is the API's answer with `status`. */
export function isKubeStatus(thrown: unknown, status: number): thrown is KubeError {
  return thrown instanceof KubeError && thrown.status === status;
}

export function describe(asked: Asked): string {
  const name = asked.name === undefined ? "" : ` ${JSON.stringify(asked.name)}`;
  const where =
    asked.namespace === undefined ? "" : ` in namespace ${JSON.stringify(asked.namespace)}`;
  return `${asked.verb} ${asked.resource}${name}${where}`;
}

function explain(
  asked: Asked,
  answer: { status: number; reason: string; message: string },
): string {
  const { status, reason, message } = answer;
  const said = message === "" ? `the API server answered HTTP status ${status}` : message;
  switch (status) {
    case 401:
      return `the API server does not accept the credentials: ${said}`;
    case 403:
      return `forbidden: ${said}; grant the verb ${JSON.stringify(asked.verb)} on ${JSON.stringify(asked.resource)} ${asked.namespace === undefined ? "by a ClusterRole" : "by a Role or ClusterRole"}`;
    case 404:
      return asked.name === undefined
        ? `${said}; this API server has no ${asked.resource} of that version`
        : said;
    default:
      return reason === "" || said.includes(reason) ? said : `${said} (${reason})`;
  }
}

function codeOf(status: number, reason: string): ErrorCode {
  switch (status) {
    case 404:
    case 410:
      return "not-found";
    case 409:
      return reason === "AlreadyExists" ? "already-exists" : "execution";
    case 408:
    case 504:
      return "timeout";
    case 429:
      return "resource-exhausted";
    case 401:
    case 403:
      return "unavailable";
    default:
      return status >= 500 ? "unavailable" : "bad-data";
  }
}
