/** A semicolon, or a percent sign without two digits after it. */
const BROKEN = /;|%(?![0-9a-fA-F]{2})/;

/**
 * The parameters in `text` (a URL's query or a form), as Go reads them: a pair with a semicolon or a broken percent escape
 * is left out, where a browser would keep it.
 */
export function parseForm(text: string): URLSearchParams {
  // Fast path: nearly every request has neither.
  if (!BROKEN.test(text)) return new URLSearchParams(text);
  const pairs = text.split("&").filter((pair) => !BROKEN.test(pair));
  return new URLSearchParams(pairs.join("&"));
}

/** Most parts of a multipart form; Go's limit, too. */
const MAX_PARTS = 1000;
const PART_END = "\r\n--";

/** A multipart form with that Content-Type; empty where it is none, or too large to be one, as Go leaves it out then. */
export async function parseMultipart(
  body: Uint8Array<ArrayBuffer>,
  type: string,
): Promise<FormData> {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let parts = 0;
  for (let at = text.indexOf(PART_END); at >= 0; at = text.indexOf(PART_END, at + 1)) parts++;
  if (parts > MAX_PARTS) return new FormData();
  try {
    return await new Response(body, { headers: { "content-type": type } }).formData();
  } catch {
    return new FormData();
  }
}

/** Whether every percent escape in `path` has its two digits. */
export function hasWholeEscapes(path: string): boolean {
  return !/%(?![0-9a-fA-F]{2})/.test(path);
}

/** Whether `text` names a media type that can be told from others: `type/subtype`, perhaps with parameters. */
export function isMediaType(text: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/.test(text.trim());
}
