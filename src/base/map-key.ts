import { hash } from "node:crypto";

/** V8 hashes longer texts by their length alone. */
const HASHED_MAX_LENGTH = 16_383;

/**
 * What stands for `text` in a Map or Set: itself, or the digest of a long one. Thousands of long texts of one length would
 * be compared with each other there, character by character.
 */
export function mapKey(text: string): string {
  if (text.length <= HASHED_MAX_LENGTH) return text;
  // A lone surrogate, which no label has, tells a digest from a text.
  return `\ud800${hash("sha256", Buffer.from(text, "utf16le"), "base64")}`;
}
