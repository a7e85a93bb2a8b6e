import type { IncomingHeaders, ResponseHead } from "./exchange.ts";

/** All heads of one answer (1xx announcements included) and its trailers together, bytes. */
export const HEAD_MAX_BYTES = 64 << 10;
/** A chunk's size with its extensions, bytes; Go's limit. */
export const CHUNK_LINE_MAX_BYTES = 4096;

const STATUS_LINE = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: (.*))?$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// What a value may not hold: control characters but the tab.
// oxlint-disable-next-line no-control-regex
const VALUE_BREAKER = /[\u0000-\u0008\u000a-\u001f\u007f]/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_SIZE = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/;

/** Who is told what is in an answer. */
export interface ResponseEvents {
  onHead(head: ResponseHead): void;
  /** bytes[start, end) belong to the body; they are the caller's again when this returns. */
  onData(bytes: Uint8Array, start: number, end: number): void;
  onEnd(): void;
}

type State =
  | "status"
  | "fields"
  | "length"
  | "toClose"
  | "size"
  | "chunk"
  | "chunkEnd"
  | "trailers"
  | "done";

/**
 * Reads one HTTP/1.0 or 1.1 answer to a GET, however its bytes are cut into pieces. Strict where two readers could
 * disagree on where a body ends (RFC 9112 §6.3); lenient, like Go, about header lines that end with a bare newline.
 *
 *     status ─▶ fields ─┬─▶ length ─────────────────────────────────▶ done
 *       ▲         │ 1xx ├─▶ toClose ── the peer closes ─────────────▶ done
 *       └─────────┘     └─▶ size ─▶ chunk ─▶ chunkEnd ─▶ size … ─▶ trailers ─▶ done
 */
export class ResponseParser {
  readonly #events: ResponseEvents;
  #state: State = "status";
  /** Pieces of a line that is not complete. */
  #line: Buffer[] = [];
  #lineBytes = 0;
  #headBytes = 0;
  /** Bytes of the body, or of its chunk, still to come. */
  #rest = 0;
  #minorVersion = 1;
  #status = 0;
  #statusText = "";
  #fields: Record<string, string | string[]> = emptyFields();
  #isReusable = false;

  constructor(events: ResponseEvents) {
    this.#events = events;
  }

  /** Whether the peer will answer another request on the connection; meaningful once the answer has ended. */
  get isReusable(): boolean {
    return this.#isReusable;
  }

  /** Whether a byte of the answer has been seen. */
  get hasBegun(): boolean {
    return this.#state !== "status" || this.#headBytes > 0;
  }

  get isDone(): boolean {
    return this.#state === "done";
  }

  /** Reads bytes[0, length) and returns how many belong to the answer; throws when they are no answer. */
  push(bytes: Buffer, length: number): number {
    let at = 0;
    while (at < length && this.#state !== "done") {
      switch (this.#state) {
        case "length":
        case "chunk": {
          const end = Math.min(length, at + this.#rest);
          this.#rest -= end - at;
          this.#events.onData(bytes, at, end);
          at = end;
          if (this.#rest > 0) break;
          if (this.#state === "length") this.#end();
          else this.#state = "chunkEnd";
          break;
        }
        case "toClose":
          this.#events.onData(bytes, at, length);
          at = length;
          break;
        case "status":
        case "fields":
        case "size":
        case "chunkEnd":
        case "trailers":
          at = this.#pushLine(bytes, at, length);
          break;
      }
    }
    return at;
  }

  /** The peer has closed its side; throws when the answer was not complete. */
  finish(): void {
    if (this.#state === "toClose") this.#end();
    else if (this.#state !== "done") throw new Error("unexpected EOF");
  }

  #end(): void {
    this.#state = "done";
    this.#events.onEnd();
  }

  #pushLine(bytes: Buffer, from: number, length: number): number {
    const newline = bytes.indexOf(10, from);
    const isWhole = newline >= 0 && newline < length;
    const end = isWhole ? newline : length;
    this.#lineBytes += end - from;
    const isChunkLine = this.#state === "size" || this.#state === "chunkEnd";
    if (isChunkLine && this.#lineBytes > CHUNK_LINE_MAX_BYTES)
      throw new Error(`chunk size line is longer than ${CHUNK_LINE_MAX_BYTES} bytes`);
    if (!isChunkLine && (this.#headBytes += end - from + 1) > HEAD_MAX_BYTES)
      throw new Error(`response headers are larger than ${HEAD_MAX_BYTES} bytes`);
    if (!isWhole) {
      this.#line.push(Buffer.from(bytes.subarray(from, end)));
      return length;
    }
    let text: string;
    if (this.#line.length === 0) text = bytes.toString("utf8", from, end);
    else {
      this.#line.push(bytes.subarray(from, end));
      text = Buffer.concat(this.#line).toString("utf8");
      this.#line = [];
    }
    this.#lineBytes = 0;
    const hasReturn = text.endsWith("\r");
    if (isChunkLine && !hasReturn) throw new Error("malformed chunked encoding");
    this.#takeLine(hasReturn ? text.slice(0, -1) : text);
    return end + 1;
  }

  #takeLine(line: string): void {
    switch (this.#state) {
      case "status":
        this.#takeStatus(line);
        return;
      case "fields":
        if (line === "") this.#takeHead();
        else this.#takeField(line);
        return;
      case "size":
        this.#takeSize(line);
        return;
      case "chunkEnd":
        if (line !== "") throw new Error("malformed chunked encoding");
        this.#state = "size";
        return;
      case "trailers":
        // Trailers are of no use here, but the answer ends behind them.
        if (line === "") this.#end();
        return;
      case "length":
      case "chunk":
      case "toClose":
      case "done":
        throw new Error(`BUG: no line is read in state ${this.#state}`);
    }
  }

  #takeStatus(line: string): void {
    const match = STATUS_LINE.exec(line);
    if (match === null) throw new Error(`malformed HTTP response ${quote(line)}`);
    this.#minorVersion = Number(match[1]);
    this.#status = Number(match[2]);
    this.#statusText = match[3] ?? "";
    this.#fields = emptyFields();
    this.#state = "fields";
  }

  #takeField(line: string): void {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0));
    const value = line.slice(colon + 1).replace(/^[ \t]+|[ \t]+$/g, "");
    if (!FIELD_NAME.test(name) || VALUE_BREAKER.test(value))
      throw new Error(`malformed HTTP header ${quote(line)}`);
    const key = name.toLowerCase();
    const known = this.#fields[key];
    if (known === undefined) this.#fields[key] = value;
    else if (typeof known === "string") this.#fields[key] = [known, value];
    else known.push(value);
  }

  #takeHead(): void {
    const status = this.#status;
    if (status < 200) {
      if (status === 101) throw new Error("unexpected HTTP status 101");
      this.#state = "status";
      return;
    }
    const fields = this.#fields;
    const connection = listOf(fields["connection"]);
    const persists =
      this.#minorVersion === 1 ? !connection.includes("close") : connection.includes("keep-alive");
    const encodings = listOf(fields["transfer-encoding"]);
    const length = contentLength(fields["content-length"]);
    const isBodyless = status === 204 || status === 304;
    if (!isBodyless && encodings.length > 0 && encodings.join() !== "chunked")
      throw new Error(`unsupported transfer encoding: ${quote(encodings.join(", "))}`);
    const isChunked = encodings.length > 0;
    // Both a length and chunks: chunks win, but a connection with such a peer is not trusted further.
    this.#isReusable =
      persists && (isBodyless || (isChunked ? length === undefined : length !== undefined));
    this.#rest = length ?? 0;
    if (isBodyless || (!isChunked && length === 0)) this.#state = "done";
    else if (isChunked) this.#state = "size";
    else this.#state = length === undefined ? "toClose" : "length";
    this.#events.onHead({ status, statusText: this.#statusText, headers: fields });
    if (this.isDone) this.#events.onEnd();
  }

  #takeSize(line: string): void {
    const match = CHUNK_SIZE.exec(line);
    if (match === null) throw new Error("invalid byte in chunk length");
    this.#rest = Number.parseInt(match[1]!, 16);
    this.#state = this.#rest === 0 ? "trailers" : "chunk";
  }
}

function emptyFields(): Record<string, string | string[]> {
  // Without a prototype, "__proto__" is a name like any other.
  return Object.setPrototypeOf({}, null);
}

/** The words of a comma-separated header in lower case. */
function listOf(value: IncomingHeaders[string]): string[] {
  if (value === undefined) return [];
  return (typeof value === "string" ? value : value.join(","))
    .split(",")
    .map((word) => word.trim().toLowerCase())
    .filter((word) => word !== "");
}

function contentLength(value: IncomingHeaders[string]): number | undefined {
  if (value === undefined) return undefined;
  const [first, ...others] = typeof value === "string" ? [value] : value;
  if (first === undefined || !LENGTH.test(first) || others.some((other) => other !== first))
    throw new Error(`bad Content-Length ${quote(String(value))}`);
  return Number(first);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
