import { quote } from "../base/text.ts";

/** How much of a body an error message shows at most. */
export const EXCERPT_MAX_BYTES = 400;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Whether bytes[start, end) is valid UTF-8. */
export function isValidUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let ascii = true;
  for (let i = start; i < end && ascii; i++) ascii = bytes[i]! < 128;
  if (ascii) return true;
  try {
    strict.decode(bytes.subarray(start, end));
    return true;
  } catch {
    return false;
  }
}

/** Go's %q of bytes: bytes that are no UTF-8 come as \xff. Long input is cut after EXCERPT_MAX_BYTES. */
export function quoteBytes(bytes: Uint8Array, start: number, end: number): string {
  const cut = Math.min(end, start + EXCERPT_MAX_BYTES);
  let quoted = '"';
  for (let i = start; i < cut;) {
    const length = sequenceLength(bytes[i]!);
    if (length > 0 && i + length <= end && isValidUtf8(bytes, i, i + length)) {
      quoted += quote(strict.decode(bytes.subarray(i, i + length))).slice(1, -1);
      i += length;
    } else {
      quoted += `\\x${bytes[i]!.toString(16).padStart(2, "0")}`;
      i++;
    }
  }
  return cut < end ? `${quoted}…"` : `${quoted}"`;
}

function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead < 0xe0) return 2;
  if (lead >= 0xe0 && lead < 0xf0) return 3;
  return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}
