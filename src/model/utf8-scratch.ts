const ENCODER = new TextEncoder();

/**
 * A growing buffer of UTF-8 text for hashing, reused so that a hash allocates nothing. Its trick: label text is almost
 * always ASCII and short, where a loop over character codes beats the call into the encoder.
 */
export class Utf8Scratch {
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(1024);
  size = 0;

  clear(): void {
    this.size = 0;
  }

  appendByte(byte: number): void {
    if (this.size === this.bytes.length) this.#grow(1);
    this.bytes[this.size++] = byte;
  }

  append(text: string): void {
    // A UTF-16 unit becomes at most three bytes.
    if (this.size + 3 * text.length > this.bytes.length) this.#grow(3 * text.length);
    const bytes = this.bytes;
    const start = this.size;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code >= 0x80) {
        this.size = start + ENCODER.encodeInto(text, bytes.subarray(start)).written;
        return;
      }
      bytes[start + i] = code;
    }
    this.size = start + text.length;
  }

  #grow(extra: number): void {
    const larger = new Uint8Array(Math.max(2 * this.bytes.length, this.size + extra));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
