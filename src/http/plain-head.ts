/** The head of a request without a body. */
export interface PlainHead {
  readonly method: string;
  /** As in the request line: a path, or a whole URL where the asker takes us for its proxy. */
  readonly target: string;
  /** Lower-case names; values that came more than once are joined by ", ". */
  readonly headers: ReadonlyMap<string, string>;
  /** Whether the connection may serve another request afterwards. */
  readonly keepsAlive: boolean;
}

/** A request that cannot be served: status 400. */
export class PlainRequestError extends Error {}

const REQUEST_LINE = /^([A-Z]{1,20}) ([\u0021-\u007e]+) HTTP\/1\.([01])$/;
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Any byte but control characters. */
const FIELD_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;

/**
 * Reads a request's head (RFC 9112), without the empty line at its end, one character a byte. Strict: whatever two readers
 * could understand in two ways is refused, and so is a request with a body.
 */
export function parseHead(text: string): PlainHead {
  const lines = text.split("\r\n");
  const line = REQUEST_LINE.exec(lines[0]!);
  if (line === null) throw new PlainRequestError("the request line is not HTTP/1.1");
  const headers = new Map<string, string>();
  for (let i = 1; i < lines.length; i++) {
    const field = lines[i]!;
    const colon = field.indexOf(":");
    const value = trimBlanks(field, colon + 1);
    if (colon < 0 || !FIELD_NAME.test(field.slice(0, colon)) || !FIELD_VALUE.test(value))
      throw new PlainRequestError(`line ${i + 1} of the request is no header`);
    const name = field.slice(0, colon).toLowerCase();
    const known = headers.get(name);
    if (known !== undefined && name === "host")
      throw new PlainRequestError("the request has more than one Host");
    headers.set(name, known === undefined ? value : `${known}, ${value}`);
  }
  const isOld = line[3] === "0";
  if (!isOld && !headers.has("host")) throw new PlainRequestError("the request has no Host");
  const length = headers.get("content-length");
  if (headers.has("transfer-encoding") || (length !== undefined && length !== "0"))
    throw new PlainRequestError("a scrape has no body");
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  return {
    method: line[1]!,
    target: line[2]!,
    headers,
    keepsAlive: isOld ? connection === "keep-alive" : !hasToken(connection, "close"),
  };
}

function hasToken(list: string, token: string): boolean {
  return list !== "" && list.split(",").some((each) => each.trim() === token);
}

/** What is left of `text` from `start` on without the blanks around it. */
function trimBlanks(text: string, start: number): string {
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}
