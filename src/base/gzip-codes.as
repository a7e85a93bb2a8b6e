// Of gzip-matches.as: blocks with codes of their own (RFC 1951, 3.2.7), from matches and the literals before them.
//
//     │ kind │ how many codes │ lengths of codes for lengths │ lengths of codes │ symbols … │ end of block │

/** Literals, the end of a block, then lengths of matches. */
const SYMBOLS: i32 = 286;
const END_OF_BLOCK: usize = 256;
const FIRST_LENGTH: usize = 257;
const DISTANCES: i32 = 30;
const CODE_MAX_BITS: i32 = 15;
/** Lengths of codes, and two for runs of zeros. */
const WIDTHS: i32 = 19;
const WIDTH_MAX_BITS: i32 = 7;
/** The order in which the lengths of codes for lengths are written. */
const WIDTH_ORDER = memory.data<u8>([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]);

const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
/** For the length of a match less 3, which symbol it is. */
const LENGTH_SYMBOLS = memory.data(256, 8);

/** How often each symbol occurs in the block. */
const SYMBOL_COUNTS = memory.data(SYMBOLS * 4, 8);
const DISTANCE_COUNTS = memory.data(DISTANCES * 4, 8);
const WIDTH_COUNTS = memory.data(WIDTHS * 4, 8);
/** Codes, the first bit lowest, above four bits that say how long they are; 0 where there is none. */
const SYMBOL_CODES = memory.data(SYMBOLS * 4, 8);
const DISTANCE_CODES = memory.data(DISTANCES * 4, 8);
const WIDTH_CODES = memory.data(WIDTHS * 4, 8);
/** For the length of a match less 3, its symbol's code and the bits behind it, above five bits that say how many these are. */
const LENGTH_CODES = memory.data(256 * 4, 8);
/** While codes are made: symbols that occur, the rarest first; how often, then how long their codes are; codes of a length. */
const SORTED = memory.data(SYMBOLS * 4, 8);
const WEIGHTS = memory.data(SYMBOLS * 4, 8);
const OF_WIDTH = memory.data((CODE_MAX_BITS + 1) * 4, 8);

/** How many literals come first, then the match's length less 3 and its distance less 1. */
const MATCH_BYTES: usize = 8;
/** A block ends with the first match beyond these. */
const BLOCK_MATCHES: usize = 16 * 1024;
let matches: usize = 0;
let matchesEnd: usize = 0;
/** Where the block's bytes begin. */
let blockFrom: usize = 0;

let out: usize = 0;
/** Bits that are not written yet, up to seven between two symbols. */
let bits: u64 = 0;
let bitCount: u64 = 0;

/** `room` is for the matches of a block: 24 Ki of 8 bytes, as one long match becomes many. */
export function initialize(room: usize): void {
  matches = room;
  let length = 0;
  for (let symbol = 0; symbol < 28; symbol++)
    for (let n = 1 << lengthBits(symbol); n > 0; n--) store<u8>(LENGTH_SYMBOLS + length++, symbol);
  store<u8>(LENGTH_SYMBOLS + 255, 28);
}

/** How many bits follow a length's symbol. */
// @ts-ignore: decorator
@inline
function lengthBits(symbol: u32): u32 {
  return symbol < 8 || symbol == 28 ? 0 : (symbol >> 2) - 1;
}

// @ts-ignore: decorator
@inline
function distanceSymbol(distance: u32): u32 {
  if (distance < 4) return distance;
  const top = 31 - clz(distance);
  return (top << 1) | ((distance >> (top - 1)) & 1);
}

/** How many bits follow a distance's symbol. */
// @ts-ignore: decorator
@inline
function distanceBits(symbol: u32): u32 {
  return symbol < 4 ? 0 : (symbol >> 1) - 1;
}

// @ts-ignore: decorator
@inline
function item(table: usize, i: usize): u32 {
  return load<u32>(table + (i << 2));
}

// @ts-ignore: decorator
@inline
function setItem(table: usize, i: usize, value: u32): void {
  store<u32>(table + (i << 2), value);
}

// @ts-ignore: decorator
@inline
function count(counts: usize, symbol: usize): void {
  setItem(counts, symbol, item(counts, symbol) + 1);
}

export function begin(from: usize, to: usize): void {
  out = to;
  bits = 0;
  bitCount = 0;
  beginBlock(from);
}

function beginBlock(from: usize): void {
  blockFrom = from;
  matchesEnd = matches;
  memory.fill(SYMBOL_COUNTS, 0, SYMBOLS << 2);
  memory.fill(DISTANCE_COUNTS, 0, DISTANCES << 2);
  count(SYMBOL_COUNTS, END_OF_BLOCK);
}

/** Takes the bytes from `literals` to `at` as they are, and those from there to `end`, which are those from `last` on. */
export function addMatch(literals: usize, at: usize, end: usize, last: usize): void {
  countLiterals(literals, at);
  const distance = <u32>(at - last) - 1;
  const symbol = distanceSymbol(distance);
  let literalCount = <u32>(at - literals);
  while (at < end) {
    let length = end - at;
    // What is left must be long enough for one more.
    if (length > MAX_MATCH) length = length < MAX_MATCH + MIN_MATCH ? MAX_MATCH - MIN_MATCH : MAX_MATCH;
    store<u32>(matchesEnd, literalCount);
    store<u16>(matchesEnd, <u16>(length - MIN_MATCH), 4);
    store<u16>(matchesEnd, <u16>distance, 6);
    matchesEnd += MATCH_BYTES;
    count(SYMBOL_COUNTS, FIRST_LENGTH + <usize>load<u8>(LENGTH_SYMBOLS + length - MIN_MATCH));
    count(DISTANCE_COUNTS, symbol);
    literalCount = 0;
    at += length;
  }
}

// @ts-ignore: decorator
@inline
function countLiterals(at: usize, end: usize): void {
  for (; at < end; at++) count(SYMBOL_COUNTS, load<u8>(at));
}

export function isFull(): bool {
  return matchesEnd > matches + BLOCK_MATCHES * MATCH_BYTES;
}

/** Writes the block of all that was taken and of the bytes from `literals` to `end`. */
export function putBlock(literals: usize, end: usize): void {
  countLiterals(literals, end);
  putCodes();
  joinLengthCodes();
  // Fast path: `out`, `bits` and `bitCount` in locals, which are registers, until the block is written.
  let to = out;
  let held = bits;
  let count = bitCount;
  let at = blockFrom;
  for (let match = matches; ; match += MATCH_BYTES) {
    const literalsEnd = match < matchesEnd ? at + <usize>load<u32>(match) : end;
    for (; at < literalsEnd; at++) {
      const code = item(SYMBOL_CODES, load<u8>(at));
      held |= <u64>(code >> 4) << count;
      count += code & 15;
      if (count > 48) {
        store<u64>(to, held);
        to += <usize>(count >> 3);
        held >>= count & 56;
        count &= 7;
      }
    }
    if (match == matchesEnd) break;
    store<u64>(to, held);
    to += <usize>(count >> 3);
    held >>= count & 56;
    count &= 7;
    // With those that wait 55 bits at most.
    const length = <usize>load<u16>(match, 4);
    const distance = <u32>load<u16>(match, 6);
    at += length + MIN_MATCH;
    const lengthCode = item(LENGTH_CODES, length);
    held |= <u64>(lengthCode >> 5) << count;
    count += lengthCode & 31;
    const symbol = distanceSymbol(distance);
    const code = item(DISTANCE_CODES, symbol);
    held |= <u64>(code >> 4) << count;
    count += code & 15;
    const more = distanceBits(symbol);
    held |= <u64>(distance & ((1 << more) - 1)) << count;
    count += more;
    store<u64>(to, held);
    to += <usize>(count >> 3);
    held >>= count & 56;
    count &= 7;
  }
  out = to;
  bits = held;
  bitCount = count;
  putSymbol(SYMBOL_CODES, END_OF_BLOCK);
  flush();
  beginBlock(end);
}

/** Makes `LENGTH_CODES` of the codes of the block: one look-up for each match then. */
function joinLengthCodes(): void {
  for (let length: u32 = 0; length < 256; length++) {
    const symbol = <u32>load<u8>(LENGTH_SYMBOLS + length);
    const code = item(SYMBOL_CODES, FIRST_LENGTH + symbol);
    const more = lengthBits(symbol);
    const joined = (code >> 4) | ((length & ((1 << more) - 1)) << (code & 15));
    setItem(LENGTH_CODES, length, (joined << 5) | ((code & 15) + more));
  }
}

/** Writes an empty block whose end is the end of a byte; where that is. */
export function finish(): usize {
  put(0, 3);
  flush();
  out += <usize>(bitCount != 0);
  store<u32>(out, 0xffff0000);
  return out + 4;
}

// @ts-ignore: decorator
@inline
function put(value: u64, count: u64): void {
  bits |= value << bitCount;
  bitCount += count;
}

// @ts-ignore: decorator
@inline
function flush(): void {
  store<u64>(out, bits);
  out += <usize>(bitCount >> 3);
  bits >>= bitCount & 56;
  bitCount &= 7;
}

// @ts-ignore: decorator
@inline
function putSymbol(codes: usize, symbol: usize): void {
  const code = item(codes, symbol);
  put(code >> 4, code & 15);
}

/** Makes codes of what was counted, and writes how long they are. */
function putCodes(): void {
  const symbols = makeCodes(SYMBOL_COUNTS, SYMBOLS, CODE_MAX_BITS, SYMBOL_CODES);
  const distances = makeCodes(DISTANCE_COUNTS, DISTANCES, CODE_MAX_BITS, DISTANCE_CODES);
  memory.fill(WIDTH_COUNTS, 0, WIDTHS << 2);
  countWidths(SYMBOL_CODES, symbols);
  countWidths(DISTANCE_CODES, distances);
  makeCodes(WIDTH_COUNTS, WIDTHS, WIDTH_MAX_BITS, WIDTH_CODES);
  // Not the last block; with codes of its own.
  put(4, 3);
  put(<usize>symbols - FIRST_LENGTH, 5);
  put(distances - 1, 5);
  put(WIDTHS - 4, 4);
  for (let i = 0; i < WIDTHS; i++) {
    flush();
    put(item(WIDTH_CODES, load<u8>(WIDTH_ORDER + i)) & 15, 3);
  }
  putWidths(SYMBOL_CODES, symbols);
  putWidths(DISTANCE_CODES, distances);
}

/** How many codes from `i` on there are not, as far as one symbol tells; 0 if these are too few. */
function zeros(codes: usize, i: i32, end: i32): i32 {
  end = min(end, i + 138);
  let n = 0;
  while (i + n < end && item(codes, i + n) == 0) n++;
  return n < 3 ? 0 : n;
}

function widthSymbol(codes: usize, i: i32, run: i32): usize {
  return run == 0 ? item(codes, i) & 15 : <usize>(run < 11 ? 17 : 18);
}

function countWidths(codes: usize, end: i32): void {
  for (let i = 0; i < end; ) {
    const run = zeros(codes, i, end);
    count(WIDTH_COUNTS, widthSymbol(codes, i, run));
    i += max(run, 1);
  }
}

function putWidths(codes: usize, end: i32): void {
  for (let i = 0; i < end; ) {
    const run = zeros(codes, i, end);
    flush();
    putSymbol(WIDTH_CODES, widthSymbol(codes, i, run));
    if (run >= 11) put(run - 11, 7);
    else if (run > 0) put(run - 3, 3);
    i += max(run, 1);
  }
  flush();
}

/** Makes codes of up to `maxBits` for what occurs of `symbols`; how many symbols there are up to the last that has one. */
function makeCodes(counts: usize, symbols: i32, maxBits: i32, codes: usize): i32 {
  memory.fill(codes, 0, symbols << 2);
  let used = 0;
  let end = 0;
  for (let symbol = 0; symbol < symbols; symbol++) {
    // Not all readers take less than two codes.
    const weight = max(item(counts, symbol), <u32>(symbol < 2));
    if (weight == 0) continue;
    end = symbol + 1;
    let i = used++;
    for (; i > 0 && item(WEIGHTS, i - 1) > weight; i--) {
      setItem(WEIGHTS, i, item(WEIGHTS, i - 1));
      setItem(SORTED, i, item(SORTED, i - 1));
    }
    setItem(WEIGHTS, i, weight);
    setItem(SORTED, i, symbol);
  }
  weightsToWidths(used);
  limitWidths(used, maxBits);
  // The rarest get the longest codes.
  let i = 0;
  for (let width = maxBits; width > 0; width--)
    for (let n = item(OF_WIDTH, width); n > 0; n--) setItem(codes, item(SORTED, i++), width);
  // Codes of one length ascend with their symbols.
  let code: u32 = 0;
  for (let width = 1; width <= maxBits; width++) {
    code <<= 1;
    for (let symbol = 0; symbol < end; symbol++)
      if (item(codes, symbol) == width) setItem(codes, symbol, (reversed(code++, width) << 4) | width);
  }
  return end;
}

/**
 * Makes of the weights of at least two symbols how long their codes are, in place (Moffat and Katajainen, "In-Place
 * Calculation of Minimum-Redundancy Codes", 1995): weights of pairs, then what each pair is part of, then depths.
 */
function weightsToWidths(used: i32): void {
  let pair = 0;
  let leaf = 0;
  for (let next = 0; next < used - 1; next++) {
    let sum: u32 = 0;
    for (let n = 0; n < 2; n++)
      if (leaf < used && (pair >= next || item(WEIGHTS, leaf) <= item(WEIGHTS, pair)))
        sum += item(WEIGHTS, leaf++);
      else {
        sum += item(WEIGHTS, pair);
        setItem(WEIGHTS, pair++, next);
      }
    setItem(WEIGHTS, next, sum);
  }
  setItem(WEIGHTS, used - 2, 0);
  for (let i = used - 3; i >= 0; i--) setItem(WEIGHTS, i, item(WEIGHTS, item(WEIGHTS, i)) + 1);
  pair = used - 2;
  leaf = used - 1;
  let open = 1;
  for (let depth: u32 = 0; open > 0; depth++) {
    let pairs = 0;
    for (; pair >= 0 && item(WEIGHTS, pair) == depth; pair--) pairs++;
    for (; open > pairs; open--) setItem(WEIGHTS, leaf--, depth);
    open = 2 * pairs;
  }
}

/** Counts codes by their length. Those that are too long become shorter, and others longer, until there are codes for all. */
function limitWidths(used: i32, maxBits: i32): void {
  memory.fill(OF_WIDTH, 0, (CODE_MAX_BITS + 1) << 2);
  for (let i = 0; i < used; i++) count(OF_WIDTH, min(item(WEIGHTS, i), maxBits));
  let taken: u32 = 0;
  for (let width = 1; width <= maxBits; width++) taken += item(OF_WIDTH, width) << (maxBits - width);
  for (; taken > <u32>1 << maxBits; taken--) {
    let width = maxBits - 1;
    while (item(OF_WIDTH, width) == 0) width--;
    setItem(OF_WIDTH, maxBits, item(OF_WIDTH, maxBits) - 1);
    setItem(OF_WIDTH, width, item(OF_WIDTH, width) - 1);
    setItem(OF_WIDTH, width + 1, item(OF_WIDTH, width + 1) + 2);
  }
}

function reversed(code: u32, width: i32): u32 {
  let result: u32 = 0;
  for (let i = 0; i < width; i++) result |= ((code >> i) & 1) << (width - 1 - i);
  return result;
}
