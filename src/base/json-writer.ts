import { JSON_POINTS_WASM } from "./json-points.gen.ts";
import { compileModule, instantiate } from "./web-assembly.ts";

/**
 * Writes JSON into one region of WebAssembly memory, from which it leaves in pieces. Query answers are mostly numbers,
 * and V8 needs 200 ns and a string for each of them: json-points.as writes one in 25 ns, straight to where it goes.
 *
 *     0        64 Ki         80 Ki               480 Ki          576 Ki                      2 Mi
 *     │ module │ powers of 10 │ slots of times    │ column in     │ text out ────►          │
 */
const POWERS_AT = 64 * 1024;
const SLOTS_AT = 80 * 1024;
const COLUMN_AT = 480 * 1024;
const OUT_AT = 576 * 1024;
const MEMORY_BYTES = 2 * 1024 * 1024;

/** Points per call; a range query has at most 11,001 a series. */
const BLOCK_POINTS = 12 * 1024;
/** The longest point, with its comma, and the bytes beyond it that writing in words may touch. */
const POINT_MAX_BYTES = 56;
const NUMBER_MAX_BYTES = 40;

const MIN_EXPONENT = -292;
const MAX_EXPONENT = 324;

interface PointsModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  initialize(powersOfTen: number): void;
  prepareTimes(times: number, count: number, slots: number): void;
  putPoints(slots: number, values: number, count: number, out: number): number;
  putFloat(out: number, value: number): number;
}

/** Times beyond this are no whole milliseconds any more. */
const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;

export class JsonWriter {
  readonly #module: PointsModule;
  readonly #bytes: Buffer;
  readonly #column: Float64Array;
  #at = OUT_AT;
  /** What did not fit into the region. */
  #full: Buffer[] = [];
  #fullBytes = 0;
  /** The column whose times stand in the slots, and from where on. */
  #times: Float64Array | undefined;
  #timesFrom = 0;

  constructor() {
    this.#module = instantiate(compileModule(JSON_POINTS_WASM)) as PointsModule;
    const { buffer } = this.#module.memory;
    this.#bytes = Buffer.from(buffer);
    this.#column = new Float64Array(buffer, COLUMN_AT, BLOCK_POINTS);
    writePowersOfTen(new DataView(buffer));
    this.#module.initialize(POWERS_AT);
  }

  /** Bytes written and not taken. */
  get size(): number {
    return this.#fullBytes + this.#at - OUT_AT;
  }

  /** All that was written since it was taken or forgotten; good until anything else is written. */
  written(): Buffer {
    const last = this.#bytes.subarray(OUT_AT, this.#at);
    return this.#fullBytes === 0 ? last : Buffer.concat([...this.#full, last]);
  }

  /** The same, the caller's to keep; then it is forgotten. */
  take(): Buffer {
    const written = this.written();
    const all = this.#fullBytes === 0 ? Buffer.from(written) : written;
    this.clear();
    return all;
  }

  /** Forgets what was written. */
  clear(): void {
    this.#at = OUT_AT;
    this.#full = [];
    this.#fullBytes = 0;
  }

  /** Text as it stands. */
  text(text: string): void {
    // A UTF-16 unit takes at most three bytes.
    if (!this.#reserve(text.length * 3)) return this.#append(Buffer.from(text));
    const bytes = this.#bytes;
    const at = this.#at;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit >= 0x80) {
        this.#at += bytes.write(text, at);
        return;
      }
      bytes[at + i] = unit;
    }
    this.#at = at + text.length;
  }

  /** A JSON string. */
  quoted(text: string): void {
    if (!this.#reserve(text.length + 2)) return this.text(JSON.stringify(text.toWellFormed()));
    const bytes = this.#bytes;
    const at = this.#at;
    bytes[at] = 0x22;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      if (unit < 0x20 || unit > 0x7e || unit === 0x22 || unit === 0x5c)
        return this.text(JSON.stringify(text.toWellFormed()));
      bytes[at + 1 + i] = unit;
    }
    bytes[at + 1 + text.length] = 0x22;
    this.#at = at + text.length + 2;
  }

  /** A number as `formatSampleValue` has it, without quotes. */
  sampleValue(value: number): void {
    this.#reserve(NUMBER_MAX_BYTES);
    this.#at = this.#module.putFloat(this.#at, value);
  }

  /** `[seconds,"value"],…` for every point of two columns (ms, values) of the same length; nothing if they are empty. */
  points(times: Float64Array, values: Float64Array): void {
    for (let from = 0; from < values.length; from += BLOCK_POINTS) {
      if (from > 0) this.text(",");
      const count = Math.min(values.length - from, BLOCK_POINTS);
      this.#reserve(count * POINT_MAX_BYTES);
      // Fast path: all series of a range query share one column of times.
      if (this.#times !== times || this.#timesFrom !== from) this.#prepareTimes(times, from, count);
      this.#column.set(blockOf(values, from, count));
      this.#at = this.#module.putPoints(SLOTS_AT, COLUMN_AT, count, this.#at);
    }
  }

  #prepareTimes(times: Float64Array, from: number, count: number): void {
    const column = this.#column;
    for (let i = 0; i < count; i++) {
      const timeMs = Math.round(times[from + i]!);
      column[i] = Math.max(-MAX_TIME_MS, Math.min(MAX_TIME_MS, timeMs));
    }
    this.#module.prepareTimes(COLUMN_AT, count, SLOTS_AT);
    this.#times = times;
    this.#timesFrom = from;
  }

  /** Makes room for `size` bytes; false when the region will never hold so many. */
  #reserve(size: number): boolean {
    if (this.#at + size <= MEMORY_BYTES) return true;
    if (OUT_AT + size > MEMORY_BYTES) return false;
    this.#append(Buffer.alloc(0));
    return true;
  }

  /** Puts `bytes` after what was written, outside the region. */
  #append(bytes: Buffer): void {
    this.#full.push(Buffer.from(this.#bytes.subarray(OUT_AT, this.#at)), bytes);
    this.#fullBytes += this.#at - OUT_AT + bytes.length;
    this.#at = OUT_AT;
  }
}

function blockOf(column: Float64Array, from: number, count: number): Float64Array {
  return count === column.length ? column : column.subarray(from, from + count);
}

/** The 128 leading bits of each power of ten, rounded up, as Schubfach wants them. */
function writePowersOfTen(memory: DataView): void {
  let at = POWERS_AT;
  for (let exponent = MIN_EXPONENT; exponent <= MAX_EXPONENT; exponent++) {
    const bits = leadingBits(exponent);
    memory.setBigUint64(at, bits >> 64n, true);
    memory.setBigUint64(at + 8, bits & 0xffff_ffff_ffff_ffffn, true);
    at += 16;
  }
}

function leadingBits(exponent: number): bigint {
  const power = 10n ** BigInt(Math.abs(exponent));
  const length = power.toString(2).length;
  if (exponent < 0) return (1n << BigInt(127 + length)) / power + 1n;
  if (length <= 128) return power << BigInt(128 - length);
  return (power >> BigInt(length - 128)) + 1n;
}
