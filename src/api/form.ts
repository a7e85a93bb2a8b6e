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

/** Whether every percent escape in `path` has its two digits. */
export function hasWholeEscapes(path: string): boolean {
  return !/%(?![0-9a-fA-F]{2})/.test(path);
}

/** Whether `text` names a media type that can be told from others: `type/subtype`, perhaps with parameters. */
export function isMediaType(text: string): boolean {
  return /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+\s*(?:;|$)/.test(text.trim());
}
