import { quote } from "../base/text.ts";

/** Go's `%q` of a character: single quotes, escapes as in Go. `undefined` (the end of the text) prints as U+FFFD. */
export function quoteCharacter(code: number | undefined): string {
  if (code === undefined || (code >= 0xd800 && code < 0xe000)) return "'\ufffd'";
  if (code === 0x27) return "'\\''";
  if (code === 0x22) return `'"'`;
  return `'${quote(String.fromCodePoint(code)).slice(1, -1)}'`;
}
