/**
 * URLs spelled as Go's net/url spells them: a target's URL is part of its identity (`target-hash.ts`), so it must agree
 * with Prometheus's byte for byte. The classes of characters are those of net/url's shouldEscape.
 */
export interface UrlParts {
  readonly scheme: string;
  /** Host with its port, as `__address__` has it. */
  readonly host: string;
  /** Not yet escaped: a `?` in it becomes `%3F`. */
  readonly path: string;
  /** Encoded query without `?`; "" for none. */
  readonly query: string;
}

export function formatUrl(parts: UrlParts): string {
  const { scheme, host, path, query } = parts;
  const slash = path !== "" && !path.startsWith("/") ? "/" : "";
  return `${scheme === "" ? "" : `${scheme}:`}//${escape(host, HOST_SAFE)}${slash}${escape(path, PATH_SAFE)}${query === "" ? "" : `?${query}`}`;
}

/** url.Values.Encode: sorted by name (in byte order), values of one name in their order. */
export function encodeQuery(params: ReadonlyMap<string, readonly string[]>): string {
  const parts: string[] = [];
  // Escaped names are ASCII; sorting the raw ones by code unit could differ from byte order, so sort by bytes.
  const names = [...params.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const name of names)
    for (const value of params.get(name)!) parts.push(`${queryEscape(name)}=${queryEscape(value)}`);
  return parts.join("&");
}

function queryEscape(text: string): string {
  return escape(text, QUERY_SAFE).replaceAll("%20", "+");
}

const UNRESERVED = "A-Za-z0-9\\-_.~";
const PATH_SAFE = new RegExp(`^[${UNRESERVED}$&+,/:;=@]*$`);
const HOST_SAFE = new RegExp(`^[${UNRESERVED}!$&'()*+,;=:\\[\\]<>"]*$`);
const QUERY_SAFE = new RegExp(`^[${UNRESERVED}]*$`);

function escape(text: string, safe: RegExp): string {
  // Fast path: nearly every address and path has only safe characters.
  if (safe.test(text)) return text;
  let escaped = "";
  for (const byte of Buffer.from(text, "utf8")) {
    const character = byte < 0x80 ? String.fromCharCode(byte) : "";
    escaped +=
      character !== "" && safe.test(character)
        ? character
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return escaped;
}
