// Remote write requests, in AssemblyScript: write-kernel.ts says why, write-kernel.test.ts compiles it.
//
// One walk over the message writes down for each series where it stands, a hash of its labels, and its samples. What is
// not as senders of plain samples write it (histograms, exemplars, metadata, labels that stand apart, damage) gets a mark
// in place of samples, and is read by the host.
//
// Reading and writing in words touches up to 32 bytes beyond the end of the input and of the output: the host leaves them.

import { avalanche, hash, hashHigh, P1, P2 } from "./write-kernel-hash";
import { LAST_ERROR, next, sized, skip, symbolsFound, varint } from "./write-kernel-wire";

export { expand } from "./write-kernel-snappy";
export { count, seriesCount, symbolCount } from "./write-kernel-wire";

/** Of a series: where its size stands, its mark, its first sample, whether it has a key; then the key, 16 bytes. */
const ENTRY_BYTES: usize = 32;
/** Of a symbol: its hash, 16 bytes, then where it starts and ends. */
const SYMBOL_BYTES: usize = 24;
const HAS_KEY: i32 = 1;
/** Marks of series: nothing but samples; to be read by the host; the same as the first, and the first sample is a zero. */
const PLAIN: i32 = 0;
const TO_READ: i32 = 1;
const ZERO_FIRST: i32 = 2;

/** Where the samples go, and how many there are and may be. */
let times: usize = 0;
let values: usize = 0;
let sampleCount: i32 = 0;
let sampleMax: i32 = 0;
/** When the sample that was read last says that its series started, all such times of a series, and what the series says. */
let startTime: i64 = 0;
let startTimes: i64 = 0;
let createdTime: i64 = 0;

/** Reads the sample between the two: a value, unless it is 0, then a time. False when it is anything else. */
function readSample(at: usize, end: usize): bool {
  if (sampleCount >= sampleMax) return false;
  let value: u64 = 0;
  if (end - at > 9 && load<u8>(at) == 0x09) {
    value = load<u64>(at, 1);
    at += 9;
  }
  if (at >= end || load<u8>(at) != 0x10) return false;
  const time = varint(at + 1, end);
  if (next <= LAST_ERROR) return false;
  startTime = 0;
  if (next < end) {
    if (load<u8>(next) != 0x18) return false;
    startTime = <i64>varint(next + 1, end);
    startTimes |= startTime;
    if (next != end) return false;
  }
  const place = (<usize>sampleCount) << 3;
  sampleCount++;
  store<f64>(times + place, <f64>(<i64>time));
  store<u64>(values + place, value);
  return true;
}

/** Reads samples from `at` on; where the first field begins that is not one, or that cannot be read. */
// @ts-ignore: decorator
@inline
function readSamples(at: usize, end: usize): usize {
  while (at < end && load<u8>(at) == 0x12) {
    const sampleEnd = sized(at + 1, end);
    if (sampleEnd <= LAST_ERROR || !readSample(next, sampleEnd)) break;
    at = sampleEnd;
  }
  return at;
}

// @ts-ignore: decorator
@inline
function putEntry(entry: usize, mark: i32, first: i32, key: i32): void {
  store<i32>(entry, mark, 4);
  store<i32>(entry, first, 8);
  store<i32>(entry, key, 12);
}

/**
 * Writes an entry for each series of a `prometheus.WriteRequest` that `count` was content with, and one more, behind the
 * last. The key of a series is what its labels are as they were sent.
 */
export function indexV1(from: usize, end: usize, entries: usize, columns: usize, samples: i32): void {
  beginSamples(columns, samples);
  let entry = entries;
  let at = from;
  while (at < end) {
    const key = <u32>varint(at, end);
    at = next;
    if (key != 0x0a) {
      at = skip(key, at, end);
      continue;
    }
    store<u32>(entry, <u32>(at - from));
    const seriesEnd = sized(at, end);
    const first = sampleCount;
    let labelsEnd = next;
    at = next;
    while (labelsEnd < seriesEnd && load<u8>(labelsEnd) == 0x0a) {
      const labelEnd = sized(labelsEnd + 1, seriesEnd);
      if (labelEnd <= LAST_ERROR) break;
      labelsEnd = labelEnd;
    }
    const isPlain = readSamples(labelsEnd, seriesEnd) == seriesEnd && sampleCount > first;
    if (!isPlain) {
      sampleCount = first;
      // Labels that stand apart, which no known sender writes: the whole message is the key.
      if (!areTogether(labelsEnd, seriesEnd)) labelsEnd = seriesEnd;
    }
    const low = hash(at, labelsEnd);
    store<u64>(entry, low, 16);
    store<u64>(entry, hashHigh, 24);
    putEntry(entry, isPlain ? PLAIN : TO_READ, first, HAS_KEY);
    entry += ENTRY_BYTES;
    at = seriesEnd;
  }
  putEntry(entry, 0, sampleCount, 0);
}

/** Whether there are no labels from `at` on. */
function areTogether(at: usize, end: usize): bool {
  while (at < end) {
    const key = <u32>varint(at, end);
    if (next <= LAST_ERROR || key == 0x0a) return false;
    at = skip(key, next, end);
    if (at <= LAST_ERROR) return false;
  }
  return true;
}

function beginSamples(columns: usize, samples: i32): void {
  times = columns;
  values = columns + (<usize>samples << 3);
  sampleCount = 0;
  sampleMax = samples;
}

/** The symbols of the request of 2.0. */
let symbolTable: usize = 0;
/** The hash of the symbols that a series refers to so far, and how many they are. */
let keyLow: u64 = 0;
let keyHigh: u64 = 0;
let keySize: u64 = 0;

/** Takes in references up to `end`; false when one refers to nothing, or cannot be read. */
function readRefs(at: usize, end: usize): bool {
  let low = keyLow;
  let high = keyHigh;
  let size = keySize;
  const found = <u64>symbolsFound;
  while (at < end) {
    let ref = <u64>load<u8>(at++);
    if (ref >= 0x80) {
      ref = <u64>(<u32>varint(at - 1, end));
      at = next;
      if (at <= LAST_ERROR) return false;
    }
    if (ref >= found) return false;
    const symbol = symbolTable + <usize>ref * SYMBOL_BYTES;
    low = low * P1 + load<u64>(symbol);
    high = high * P2 + load<u64>(symbol, 8);
    size++;
  }
  keyLow = low;
  keyHigh = high;
  keySize = size;
  return true;
}

/** Reads the references of a series wherever they stand in it; whether they are a key. */
function readScatteredRefs(at: usize, end: usize): bool {
  keyLow = keyHigh = keySize = 0;
  while (at < end) {
    const key = <u32>varint(at, end);
    if (next <= LAST_ERROR) return false;
    at = next;
    if (key == 0x0a) {
      const refsEnd = sized(at, end);
      if (refsEnd <= LAST_ERROR || !readRefs(next, refsEnd)) return false;
      at = refsEnd;
    } else if (key == 0x08) {
      varint(at, end);
      const refEnd = next;
      if (refEnd <= LAST_ERROR || !readRefs(at, refEnd)) return false;
      at = refEnd;
    } else {
      at = skip(key, at, end);
      if (at <= LAST_ERROR) return false;
    }
  }
  return keySize % 2 == 0;
}

/** `indexV1` for an `io.prometheus.write.v2.Request`. Its texts may stand after the series that use them. */
export function indexV2(
  from: usize,
  end: usize,
  symbols: usize,
  entries: usize,
  columns: usize,
  samples: i32,
  takesCreated: i32,
): void {
  symbolTable = symbols;
  let at = from;
  let symbol = symbols;
  while (at < end) {
    const key = <u32>varint(at, end);
    at = skip(key, next, end);
    if (key != 0x22) continue;
    const low = hash(next, at);
    store<u64>(symbol, low);
    store<u64>(symbol, hashHigh, 8);
    store<u32>(symbol, <u32>(next - from), 16);
    store<u32>(symbol, <u32>(at - from), 20);
    symbol += SYMBOL_BYTES;
  }
  beginSamples(columns, samples);
  let entry = entries;
  at = from;
  while (at < end) {
    const key = <u32>varint(at, end);
    at = next;
    if (key != 0x2a) {
      at = skip(key, at, end);
      continue;
    }
    store<u32>(entry, <u32>(at - from));
    const seriesEnd = sized(at, end);
    at = next;
    const first = sampleCount;
    const isPlain = readPlainSeries(at, seriesEnd) && sampleCount > first;
    let hasKey = isPlain;
    const mark = !isPlain ? TO_READ : takesCreated != 0 ? putZero(first) : PLAIN;
    if (mark == TO_READ) sampleCount = first;
    if (!isPlain) hasKey = readScatteredRefs(at, seriesEnd);
    // A hash of hashes: what makes it a number that no bytes of 1.0 come to is chance.
    store<u64>(entry, avalanche(keyLow ^ keySize), 16);
    store<u64>(entry, avalanche(keyHigh + keySize), 24);
    putEntry(entry, mark, first, hasKey ? HAS_KEY : 0);
    entry += ENTRY_BYTES;
    at = seriesEnd;
  }
  putEntry(entry, 0, sampleCount, 0);
}

/** Puts a zero in front of the only sample of a plain series that tells when it was created. Answers the mark. */
function putZero(first: i32): i32 {
  if (sampleCount - first > 1) return (startTimes | createdTime) == 0 ? PLAIN : TO_READ;
  const created = startTime != 0 ? startTime : createdTime;
  const place = (<usize>first) << 3;
  const time = load<f64>(times + place);
  if (created == 0 || <f64>created >= time) return PLAIN;
  if (sampleCount >= sampleMax) return TO_READ;
  sampleCount++;
  store<f64>(times + place, time, 8);
  store<u64>(values + place, load<u64>(values + place), 8);
  store<f64>(times + place, <f64>created);
  store<u64>(values + place, 0);
  return ZERO_FIRST;
}

/** Reads references, samples, metadata that say nothing, and the time of creation, in this order; false for anything else. */
function readPlainSeries(at: usize, end: usize): bool {
  if (at >= end || load<u8>(at) != 0x0a) return false;
  const refsEnd = sized(at + 1, end);
  keyLow = keyHigh = keySize = 0;
  if (refsEnd <= LAST_ERROR || !readRefs(next, refsEnd) || keySize % 2 != 0) return false;
  startTimes = createdTime = 0;
  at = readSamples(refsEnd, end);
  if (end - at >= 2 && load<u16>(at) == 0x002a) at += 2;
  if (at < end && load<u8>(at) == 0x30) {
    createdTime = <i64>varint(at + 1, end);
    at = next;
  }
  return at == end;
}
