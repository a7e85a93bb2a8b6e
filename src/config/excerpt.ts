import type { Problem } from "./config-error.ts";

/** How much of a long line is shown around the caret. */
const MAX_EXCERPT_COLUMNS = 120;

/** Lines beyond this are not shown at all: what they hold cannot be told apart from secrets cheaply. */
const MAX_LINE_SHOWN = 4096;

/**
 * A key whose value must not be printed, and that value: a list, a quoted text, or all up to the next key, the closing
 * brace or the comment. It errs on the side of hiding: misspelt keys (`pasword`) are the very ones that errors are about.
 */
const SECRET_VALUE =
  /(["']?[\w.-]*(?:pas+w|pwd|passphrase|secret|token|credential|(?:^|[-_.\s])key)[\w.-]*["']?\s*:\s*)(\[[^\]]*\]?|"(?:[^"\\]|\\.)*"?|'(?:[^']|'')*'?|[^\s{].*?(?=,\s*["']?[\w.-]+["']?\s*:(?:\s|$)|\}[\s}\],]*$|\s#|$))/giu;
const USER_INFO = /(:\/\/)([^/@\s"']+)(?=@)/gu;
const NOT_SECRET = /_(?:file|path|url|ref)["']?\s*:\s*$/i;

// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const CONTROL = /[\0-\x08\x0b-\x1f\x7f]/g;

/** The line that holds `column`, if short enough, cut to a readable width, with values of secrets replaced by `<secret>`. */
export function excerptOf(
  line: string,
  at: { readonly column: number; readonly width: number },
): Problem["excerpt"] {
  if (line.length > MAX_LINE_SHOWN) return undefined;
  let column = at.column;
  let text = "";
  let from = 0;
  for (const [start, end] of secretRanges(line)) {
    text += `${line.slice(from, start)}<secret>`;
    if (at.column > end) column += "<secret>".length - (end - start);
    else if (at.column > start + 1) column -= at.column - 1 - start;
    from = end;
  }
  text = (text + line.slice(from)).replaceAll(CONTROL, "\ufffd");
  const width = Math.max(1, Math.min(at.width, text.length - column + 1));
  const cut = Math.max(0, column - MAX_EXCERPT_COLUMNS / 2);
  if (text.length <= MAX_EXCERPT_COLUMNS) return { text, column, width };
  const shown = `${cut > 0 ? "…" : ""}${text.slice(cut, cut + MAX_EXCERPT_COLUMNS)}`;
  return {
    text: cut + MAX_EXCERPT_COLUMNS < text.length ? `${shown}…` : shown,
    column: column - cut + (cut > 0 ? 1 : 0),
    width: Math.min(width, MAX_EXCERPT_COLUMNS / 2),
  };
}

function secretRanges(line: string): [number, number][] {
  const ranges: [number, number][] = [];
  for (const pattern of [SECRET_VALUE, USER_INFO])
    for (const match of line.matchAll(pattern)) {
      if (pattern === SECRET_VALUE && NOT_SECRET.test(match[1]!)) continue;
      const start = match.index + match[1]!.length;
      ranges.push([start, start + match[2]!.trimEnd().length]);
    }
  ranges.sort((a, b) => a[0] - b[0]);
  return ranges.filter(([start], i) => i === 0 || start >= ranges[i - 1]![1]);
}
