import { AppError } from "../base/errors.ts";

/** All bytes of `body`; rejects with `resource-exhausted` once there are more than `maxBytes`. */
export async function readBytes(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes)
      throw new AppError("resource-exhausted", `cannot read body: more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, size);
}

/** `readBytes` as UTF-8 text. */
export async function readText(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<string> {
  return Buffer.from(await readBytes(body, maxBytes)).toString("utf8");
}

/** Reads and drops at most `maxBytes`, so that the connection can be used again when that was all. */
export async function drain(body: AsyncIterable<Uint8Array>, maxBytes: number): Promise<void> {
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > maxBytes) return;
  }
}
