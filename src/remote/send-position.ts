import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import type { LogPlace } from "./send-queue.ts";

const MAGIC = 0x53_50_4f_53;
const HEAD_NUMBERS = 2;

/**
 * How far a remote has got: for each of its queues the place of the last sample that was acknowledged. Written whenever
 * one is, with one small write that no crash of the process can tear:
 *
 *     ┌─────────────┬───────────────┬───────────┬───────────┬───
 *     │ "SPOS" (f64)│ queues (f64)  │ segment 0 │ ordinal 0 │ …   float64, little-endian
 *     └─────────────┴───────────────┴───────────┴───────────┴───
 */
export class SendPosition {
  readonly #file: number;
  #numbers: Float64Array<ArrayBuffer>;

  private constructor(file: number, numbers: Float64Array<ArrayBuffer>) {
    this.#file = file;
    this.#numbers = numbers;
  }

  static open(path: string): SendPosition {
    mkdirSync(dirname(path), { recursive: true });
    let numbers = new Float64Array(0);
    try {
      const bytes = readFileSync(path);
      numbers = new Float64Array(
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~7)),
      );
    } catch {
      // There is none yet.
    }
    const isWhole = numbers[0] === MAGIC && numbers.length >= HEAD_NUMBERS + 2 * (numbers[1] ?? 0);
    return new SendPosition(
      openSync(path, isWhole ? "r+" : "w+", 0o644),
      isWhole ? numbers : new Float64Array(0),
    );
  }

  /** By queue; undefined when nothing was ever sent. */
  get places(): readonly LogPlace[] | undefined {
    const count = this.#numbers[1];
    if (count === undefined) return undefined;
    return Array.from({ length: count }, (_, i) => ({
      segment: this.#numbers[HEAD_NUMBERS + 2 * i]!,
      ordinal: this.#numbers[HEAD_NUMBERS + 2 * i + 1]!,
    }));
  }

  /** From now on there are so many queues, all of them at `place`. */
  reset(count: number, place: LogPlace): void {
    this.#numbers = new Float64Array(HEAD_NUMBERS + 2 * count);
    this.#numbers[0] = MAGIC;
    this.#numbers[1] = count;
    for (let i = 0; i < count; i++) this.#put(i, place);
    this.#write();
  }

  set(queue: number, place: LogPlace): void {
    this.#put(queue, place);
    this.#write();
  }

  close(): void {
    closeSync(this.#file);
  }

  #put(queue: number, place: LogPlace): void {
    this.#numbers[HEAD_NUMBERS + 2 * queue] = place.segment;
    this.#numbers[HEAD_NUMBERS + 2 * queue + 1] = place.ordinal;
  }

  #write(): void {
    const { buffer, byteLength } = this.#numbers;
    writeSync(this.#file, new Uint8Array(buffer, 0, byteLength), 0, byteLength, 0);
  }
}
