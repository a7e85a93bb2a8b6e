import { writeStale } from "../base/float.ts";
import { BitReader } from "./bit-reader.ts";
import { StartTimes } from "./start-times.ts";

/**
 * Encoding 4, XOR2: floats that may have start times, which Prometheus 3.11 and later write when told to. It is read only.
 * Format: docs/format/chunks.md.
 */

/** A chunk's columns, all of one length. Stale markers and other NaNs have their bits. */
export interface StartedFloats {
  /** ms. */
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** When a sample's counting started, ms, 0 where not known; undefined when no sample has one. */
  readonly startTimes: Float64Array | undefined;
}

const HEADER_BYTES = 3;
const reader = new BitReader("XOR2 chunk");

/** The value the next one is XORed with, the last that was not stale, and the bits that may differ from it. */
const baseline = new Int32Array(2);
let leading = 0;
let trailing = 0;

/** Decodes a whole chunk. Throws `corrupt` when the bytes break the format. Keeps nothing of `data`. */
export function decodeXor2(data: Uint8Array): StartedFloats {
  reader.reset(data, HEADER_BYTES);
  const count = (data[0]! << 8) | data[1]!;
  // A sample takes a bit at least, so no header can claim memory its bytes do not pay for.
  if (count > reader.remaining) throw reader.corrupt(`${count} samples do not fit into its bytes`);
  const times = new Float64Array(count);
  const values = new Float64Array(count);
  const words = new Int32Array(values.buffer);
  const starts = new StartTimes(data[2]!, count);
  baseline.fill(0);
  leading = 0;
  trailing = 0;
  let time = 0;
  let delta = 0;
  for (let k = 0; k < count; k++) {
    const previousMs = time;
    let isStale = false;
    if (k === 0) {
      time = reader.readVarint();
      reader.readWords();
      words[0] = reader.low;
      words[1] = reader.high;
      isStale = isStaleMarker(reader.low, reader.high);
      if (!isStale) baseline.set([reader.low, reader.high]);
    } else {
      const control = k === 1 ? undefined : readOnes(IS_STALE);
      if (control === undefined) delta = reader.readUvarint();
      else delta += readChange(CHANGE_BITS[control]!);
      time += delta;
      if (control === VALUE_CHANGES) readChangedValue();
      else if (control === IS_STALE) isStale = true;
      else if (control !== NOTHING_CHANGES) isStale = readValue();
      words[2 * k] = baseline[0]!;
      words[2 * k + 1] = baseline[1]!;
    }
    if (isStale) writeStale(values, k);
    times[k] = time;
    starts.read(reader, k, { timeMs: time, previousMs });
  }
  return { times, values, startTimes: starts.column };
}

/** By how many ones a control code has: in how many bits the change of the delta is told; 0 of it and of the value too. */
const NOTHING_CHANGES = 0;
const VALUE_CHANGES = 1;
const IS_STALE = 5;
const CHANGE_BITS = [0, 0, 13, 20, 64, 0];

/** Ones up to a zero, or `most` of them. */
function readOnes(most: number): number {
  let ones = 0;
  while (ones < most && reader.readBits(1) === 1) ones++;
  return ones;
}

function readChange(width: number): number {
  if (width === 0) return 0;
  if (width === 64) {
    reader.readWords();
    return reader.high * 2 ** 32 + (reader.low >>> 0);
  }
  return (reader.readBits(width) << (32 - width)) >> (32 - width);
}

/** Whether the value is the stale marker; else it is the baseline now. */
function readValue(): boolean {
  const ones = readOnes(3);
  if (ones === 1) readDifference();
  if (ones === 2) readWindow();
  return ones === 3;
}

function readChangedValue(): void {
  if (reader.readBits(1) === 0) readDifference();
  else readWindow();
}

function readWindow(): void {
  leading = reader.readBits(5);
  const width = reader.readBits(6);
  trailing = 64 - leading - (width === 0 ? 64 : width);
  if (trailing < 0) throw reader.corrupt("a value has more than 64 bits");
  readDifference();
}

/** The bits between `leading` and `trailing` that differ from the baseline. */
function readDifference(): void {
  const width = 64 - leading - trailing;
  const top = width > 32 ? reader.readBits(width - 32) : 0;
  const bottom = reader.readBits(Math.min(width, 32));
  let low = bottom;
  let high = top;
  if (trailing >= 32) {
    high = bottom << (trailing - 32);
    low = 0;
  } else if (trailing > 0) {
    high = (top << trailing) | (bottom >>> (32 - trailing));
    low = bottom << trailing;
  }
  baseline[0]! ^= low;
  baseline[1]! ^= high;
}

function isStaleMarker(low: number, high: number): boolean {
  return low === 2 && high === 0x7ff00000;
}
