// The places of a pattern in words of 32 bits, so that where a text may stand is moved on by a character for all bits of a
// word at once. A cluster is a piece of the syntax tree that has one place where it is entered and one where it is left;
// within it other clusters take one bit each. So the clusters are a tree too: the inner ones are told first whether they
// may end here, then the outer ones tell them whether they may begin, and that is all, however the pattern nests. (After
// Myers, A Four Russians Algorithm for Regular Expression Pattern Matching, 1992.)

import {
  allocate,
  allocateZero,
  CLUSTERS_MAX,
  ENTERED_AT,
  keep,
  popTo,
  push,
  SHAPES_AT,
  SHAPES_MAX,
  stackTop,
  WORDS_AT,
} from "./regex-memory";
import {
  ASSERTION,
  CHOICE,
  copiesOf,
  EMPTY,
  Node,
  NONE,
  partOf,
  REPEAT,
  SEQUENCE,
  SET,
} from "./regex-tree";

/** Bits of a word: how many sets, counters and other clusters one cluster holds. */
const BITS: u32 = 32;
/** Fewer copies of a set are written out one by one. */
const COUNTER_MIN: f64 = 64;
/** Places that a counter which does not count stands for, by what it costs. */
const COUNTER_PLACES: f64 = 8;
/** Patterns that have more sets when written out get counters. */
const WRITTEN_OUT_MAX: f64 = 2000;
/** What stands for no most in a counter; no text is as long. */
export const ENDLESS: u32 = 1 << 30;

/** Kinds of parts. */
const IS_EMPTY: u32 = 0;
const IS_NONE: u32 = 1;
const IS_ASSERTION: u32 = 2;
const IS_LEAF: u32 = 3;
const IS_CLUSTER: u32 = 4;
const IS_SEQUENCE: u32 = 5;
const IS_CHOICE: u32 = 6;
const IS_OPTION: u32 = 7;
const IS_PLUS: u32 = 8;

/** A part of the pattern that lies in one cluster. */
@unmanaged
class Part {
  kind: u32;
  /** How many of the word it takes. */
  bits: u32;
  /** The assertion, leaf, cluster, part, or list of parts. */
  value: usize;
  count: u32;
}

/** A place in the pattern where a character of `set` stands; if `max` is above 1, `min` to `max` of them. */
@unmanaged
export class Leaf {
  set: Node;
  min: u32;
  max: u32;
  cluster: u32;
  bit: u32;
  /** The next one with the same set. */
  next: Leaf;
}

/** Of a cluster, as long as all assertions are true or false in one way. */
@unmanaged
class Row {
  /** The bits behind which it may end, and those with which it may begin. */
  last: u32;
  first: u32;
  /** For each of the four bytes of a word and each value of it, the bits that may follow; equal tables are one. */
  follow: usize;
  /** Where the word of the cluster around it is, in bytes, and its bit there. The last cluster is around all. */
  parent: usize;
  parentBit: u32;
}

/** All clusters in one way that assertions hold. */
@unmanaged
export class Tables {
  rows: usize;
  /** Whether the empty text matches. */
  isNullable: bool;
}

@unmanaged
export class Clusters {
  count: u32;
  leafCount: u32;
  leaves: usize;
  roots: usize;
  parents: usize;
  parentBits: usize;
}

let clusters: Clusters = changetype<Clusters>(0);
let isCounting: bool = false;

/** How many places `node` has, as far as time is concerned, without making them. */
export function placesOf(node: Node): f64 {
  return node.setCount <= WRITTEN_OUT_MAX ? node.setCount : countPlaces(node);
}

function countPlaces(node: Node): f64 {
  if (node.places >= 0) return node.places;
  let places: f64 = 0;
  if (node.kind == REPEAT)
    places = isCounter(node)
      ? COUNTER_PLACES
      : countPlaces(changetype<Node>(node.parts)) * copiesOf(node);
  else if (node.kind == SEQUENCE || node.kind == CHOICE)
    for (let i: u32 = 0; i < node.count; i++) places += countPlaces(partOf(node, i));
  else if (node.kind == SET) places = 1;
  node.places = places;
  return places;
}

function isCounter(node: Node): bool {
  return changetype<Node>(node.parts).kind == SET && copiesOf(node) >= COUNTER_MIN;
}

/** The clusters of a pattern, which has not too many places. */
export function makeClusters(root: Node): Clusters {
  isCounting = root.setCount > WRITTEN_OUT_MAX;
  // All of them have at least one place of their own.
  const most = <usize>placesOf(root) + 1;
  clusters = changetype<Clusters>(allocate(offsetof<Clusters>()));
  clusters.count = 0;
  clusters.leafCount = 0;
  clusters.leaves = allocate(most * offsetof<Leaf>());
  clusters.roots = allocate(most << 2);
  closed(toPart(root));
  const count = clusters.count;
  if (count > CLUSTERS_MAX) unreachable();
  clusters.parents = allocateZero(<usize>count << 2);
  clusters.parentBits = allocateZero(<usize>count << 2);
  for (let i: u32 = 0; i < count; i++) giveBits(rootOf(clusters, i), i, 0);
  return clusters;
}

function rootOf(all: Clusters, i: u32): Part {
  return changetype<Part>(load<u32>(all.roots + (<usize>i << 2)));
}

export function leafOf(all: Clusters, i: u32): Leaf {
  return changetype<Leaf>(all.leaves + <usize>i * offsetof<Leaf>());
}

function newPart(kind: u32, bits: u32, value: usize, count: u32): Part {
  const part = changetype<Part>(allocate(offsetof<Part>()));
  part.kind = kind;
  part.bits = bits;
  part.value = value;
  part.count = count;
  return part;
}

function pushPart(part: Part): void {
  push(<u32>changetype<usize>(part));
}

function partAt(at: usize): Part {
  return changetype<Part>(load<u32>(at));
}

function toPart(node: Node): Part {
  switch (node.kind) {
    case EMPTY:
      return newPart(IS_EMPTY, 0, 0, 0);
    case NONE:
      return newPart(IS_NONE, 0, 0, 0);
    case ASSERTION:
      return newPart(IS_ASSERTION, 0, node.parts, 0);
    case SET:
      return newLeaf(node, 1, 1);
    case REPEAT:
      return writtenOut(node);
  }
  const at = stackTop;
  for (let i: u32 = 0; i < node.count; i++) pushPart(toPart(partOf(node, i)));
  return pack(node.kind == SEQUENCE ? IS_SEQUENCE : IS_CHOICE, at);
}

function newLeaf(set: Node, least: f64, most: f64): Part {
  const leaf = leafOf(clusters, clusters.leafCount++);
  leaf.set = set;
  leaf.min = <u32>min(least, ENDLESS);
  leaf.max = <u32>min(most, ENDLESS);
  return newPart(IS_LEAF, 1, changetype<usize>(leaf), 0);
}

function option(part: Part): Part {
  return newPart(IS_OPTION, part.bits, changetype<usize>(part), 0);
}

function writtenOut(node: Node): Part {
  const inner = changetype<Node>(node.parts);
  if (isCounting && isCounter(node)) {
    const leaf = newLeaf(inner, max(1, node.min), node.max);
    return node.min == 0 ? option(leaf) : leaf;
  }
  const copies = <u32>copiesOf(node);
  const least = <u32>node.min;
  const at = stackTop;
  for (let i: u32 = 0; i < copies; i++) {
    let copy = toPart(inner);
    if (node.max == Infinity && i == copies - 1)
      copy = newPart(IS_PLUS, copy.bits, changetype<usize>(copy), 0);
    pushPart(i >= least ? option(copy) : copy);
  }
  return pack(IS_SEQUENCE, at);
}

/** The parts above `at` as one that fits into a cluster: neighbours are put into clusters of their own until it does. */
function pack(kind: u32, at: usize): Part {
  let bits = bitsAbove(at);
  for (; bits > BITS; bits = bitsAbove(at)) {
    const end = stackTop;
    let to = at;
    let group = at;
    let size: u32 = 0;
    for (let i = at; i < end; i += 4) {
      if (size + partAt(i).bits > BITS) {
        to = closeGroup(kind, size, group, i, to);
        group = i;
        size = 0;
      }
      size += partAt(i).bits;
    }
    popTo(closeGroup(kind, size, group, end, to));
  }
  const count = <u32>((stackTop - at) >> 2);
  return newPart(kind, bits, keep(at), count);
}

function bitsAbove(at: usize): u32 {
  let bits: u32 = 0;
  for (let i = at; i < stackTop; i += 4) bits += partAt(i).bits;
  return bits;
}

/** Writes the parts between `from` and `end` to `to`, as one cluster unless they are no more than one; where it ends. */
function closeGroup(kind: u32, size: u32, from: usize, end: usize, to: usize): usize {
  const bytes = end - from;
  if (size <= 1) {
    memory.copy(to, from, bytes);
    return to + bytes;
  }
  const list = allocate(bytes);
  memory.copy(list, from, bytes);
  store<u32>(to, <u32>changetype<usize>(closed(newPart(kind, size, list, <u32>(bytes >> 2)))));
  return to + 4;
}

function closed(part: Part): Part {
  const i = clusters.count++;
  store<u32>(clusters.roots + (<usize>i << 2), <u32>changetype<usize>(part));
  return newPart(IS_CLUSTER, 1, i, 0);
}

/** Gives the bits from `bit` on to what is in `part`; the next free one. */
function giveBits(part: Part, cluster: u32, bit: u32): u32 {
  switch (part.kind) {
    case IS_LEAF: {
      const leaf = changetype<Leaf>(part.value);
      leaf.cluster = cluster;
      leaf.bit = 1 << bit;
      break;
    }
    case IS_CLUSTER:
      store<u32>(clusters.parents + (part.value << 2), cluster);
      store<u32>(clusters.parentBits + (part.value << 2), 1 << bit);
      break;
    case IS_SEQUENCE:
    case IS_CHOICE: {
      let next = bit;
      for (let i: u32 = 0; i < part.count; i++) next = giveBits(innerPart(part, i), cluster, next);
      return next;
    }
    case IS_OPTION:
    case IS_PLUS:
      return giveBits(changetype<Part>(part.value), cluster, bit);
  }
  return bit + part.bits;
}

function innerPart(part: Part, i: u32): Part {
  return partAt(part.value + (<usize>i << 2));
}

/** Of each bit, those that may follow, in the cluster that is read. */
const FOLLOW: usize = memory.data(128);
/** Which assertions hold, as bits. */
let holding: u32 = 0;
/** Which clusters the empty text matches, a byte each. */
let nullable: usize = 0;
/** Of the part that was read last: the bits it may begin and end with, and whether the empty text matches. */
let first: u32 = 0;
let last: u32 = 0;
let isNullable: bool = false;

/** The tables for places in texts where the assertions with the bits `holds` hold. */
export function makeTables(all: Clusters, holds: u32): Tables {
  clusters = all;
  holding = holds;
  const count = all.count;
  nullable = allocate(count);
  memory.fill(SHAPES_AT, 0, <usize>SHAPES_MAX << 2);
  memory.fill(FOLLOW, 0, 128);
  const tables = changetype<Tables>(allocate(offsetof<Tables>()));
  tables.rows = allocate(<usize>count * offsetof<Row>());
  for (let i: u32 = 0; i < count; i++) {
    const root = rootOf(all, i);
    read(root);
    store<u8>(nullable + i, isNullable ? 1 : 0);
    const row = changetype<Row>(tables.rows + <usize>i * offsetof<Row>());
    row.last = last;
    row.first = first;
    row.follow = takeFollow(root.bits);
    row.parent = <usize>load<u32>(all.parents + (<usize>i << 2)) << 2;
    row.parentBit = load<u32>(all.parentBits + (<usize>i << 2));
  }
  tables.isNullable = isNullable;
  return tables;
}

/** Finds what may follow what in a part. */
function read(part: Part): void {
  switch (part.kind) {
    case IS_EMPTY:
    case IS_NONE:
      first = last = 0;
      isNullable = part.kind == IS_EMPTY;
      return;
    case IS_ASSERTION:
      first = last = 0;
      isNullable = ((holding >> <u32>part.value) & 1) != 0;
      return;
    case IS_LEAF:
      first = last = changetype<Leaf>(part.value).bit;
      isNullable = false;
      return;
    case IS_CLUSTER:
      first = last = load<u32>(clusters.parentBits + (part.value << 2));
      isNullable = load<u8>(nullable + part.value) != 0;
      return;
    case IS_OPTION:
      read(changetype<Part>(part.value));
      isNullable = true;
      return;
    case IS_PLUS:
      read(changetype<Part>(part.value));
      connect(last, first);
      return;
    case IS_SEQUENCE:
      readSequence(part);
      return;
    case IS_CHOICE:
      readChoice(part);
  }
}

function readSequence(part: Part): void {
  let allFirst: u32 = 0;
  let allLast: u32 = 0;
  let areNullable = true;
  for (let i: u32 = 0; i < part.count; i++) {
    read(innerPart(part, i));
    connect(allLast, first);
    if (areNullable) allFirst |= first;
    allLast = last | (isNullable ? allLast : 0);
    areNullable = areNullable && isNullable;
  }
  first = allFirst;
  last = allLast;
  isNullable = areNullable;
}

function readChoice(part: Part): void {
  let allFirst: u32 = 0;
  let allLast: u32 = 0;
  let anyNullable = false;
  for (let i: u32 = 0; i < part.count; i++) {
    read(innerPart(part, i));
    allFirst |= first;
    allLast |= last;
    anyNullable = anyNullable || isNullable;
  }
  first = allFirst;
  last = allLast;
  isNullable = anyNullable;
}

function connect(from: u32, to: u32): void {
  for (let rest = from; rest != 0; rest &= rest - 1) {
    const at = FOLLOW + (<usize>ctz(rest) << 2);
    store<u32>(at, load<u32>(at) | to);
  }
}

/** A table there is, behind the bits and `FOLLOW` that it was made all. */
@unmanaged
class Shape {
  next: Shape;
  bits: u32;
  table: usize;
}

/** The table of what was read, of `bits` bits; what was read is forgotten. */
function takeFollow(bits: u32): usize {
  let hash = bits;
  for (let i: usize = 0; i < 128; i += 4)
    hash = rotl<u32>((hash ^ load<u32>(FOLLOW + i)) * 0x9e3779b1, 15);
  hash ^= hash >> 15;
  const bucket = SHAPES_AT + (<usize>(hash & (SHAPES_MAX - 1)) << 2);
  let shape = changetype<Shape>(load<u32>(bucket));
  for (; changetype<usize>(shape) != 0; shape = shape.next)
    if (
      shape.bits == bits &&
      memory.compare(changetype<usize>(shape) + offsetof<Shape>(), FOLLOW, 128) == 0
    )
      break;
  if (changetype<usize>(shape) == 0) {
    shape = changetype<Shape>(allocate(offsetof<Shape>() + 128));
    shape.next = changetype<Shape>(load<u32>(bucket));
    shape.bits = bits;
    shape.table = newFollow(bits);
    memory.copy(changetype<usize>(shape) + offsetof<Shape>(), FOLLOW, 128);
    store<u32>(bucket, <u32>changetype<usize>(shape));
  }
  memory.fill(FOLLOW, 0, 128);
  return shape.table;
}

function newFollow(bits: u32): usize {
  const table = allocate(4096);
  for (let byte: u32 = 0; byte < 4; byte++) {
    const base = table + (<usize>byte << 10);
    const follow = FOLLOW + (<usize>byte << 5);
    // Bytes without bits are 0 always.
    store<u32>(base, 0);
    if (byte << 3 >= bits) continue;
    const a = load<u32>(follow);
    const b = load<u32>(follow, 4);
    store<u32>(base, a, 4);
    store<u32>(base, b, 8);
    store<u32>(base, a | b, 12);
    // Twice as many values with each further bit.
    for (let size: usize = 16, bit: usize = 8; size < 1024; size <<= 1, bit += 4) {
      const added = i32x4.splat(load<u32>(follow + bit));
      for (let i = base; i < base + size; i += 16)
        v128.store(i + size, v128.or(v128.load(i), added));
    }
  }
  return table;
}

let hash: u32 = 0;

/** A number that the words which the last step found have; others seldom have it. */
export function hashed(): u32 {
  return hash;
}

/** Sets the bits of inner clusters that end in the words in the words around them. */
function endInner(count: u32, rows: usize): void {
  const end = WORDS_AT + (<usize>count << 2) - 4;
  let at = rows;
  for (let word = WORDS_AT; word < end; word += 4) {
    const row = changetype<Row>(at);
    at += offsetof<Row>();
    if ((load<u32>(word) & row.last) != 0) {
      const around = WORDS_AT + row.parent;
      store<u32>(around, load<u32>(around) | row.parentBit);
    }
  }
}

/**
 * Moves the words on by the letter with the bits at `bits`; from the start of the text, where they are 0, if `isStart`. Which
 * bits are entered is in the words of `ENTERED_AT` then. Whether any place is left.
 */
export function step(all: Clusters, rows: usize, bits: usize, isStart: bool): bool {
  const count = all.count;
  endInner(count, rows);
  let alive: u32 = 0;
  let isEntered: u32 = isStart ? 1 : 0;
  let mixed: u32 = 0;
  let at: usize = (<usize>count << 2) - 4;
  let row = changetype<Row>(rows + <usize>(count - 1) * offsetof<Row>());
  for (;;) {
    const word = load<u32>(WORDS_AT + at);
    let to = row.first & -isEntered;
    if (word != 0) {
      const follow = row.follow;
      to |=
        load<u32>(follow + ((word & 255) << 2)) |
        load<u32>(follow + (((word >> 8) & 255) << 2), 1024) |
        load<u32>(follow + (((word >> 16) & 255) << 2), 2048) |
        load<u32>(follow + ((word >> 24) << 2), 3072);
    }
    store<u32>(ENTERED_AT + at, to);
    const kept = to & load<u32>(bits + at);
    store<u32>(WORDS_AT + at, kept);
    alive |= kept;
    mixed = rotl<u32>((mixed ^ kept) * 0x9e3779b1, 15);
    if (at == 0) break;
    at -= 4;
    row = changetype<Row>(changetype<usize>(row) - offsetof<Row>());
    isEntered = <u32>((load<u32>(ENTERED_AT + row.parent) & row.parentBit) != 0);
  }
  hash = mixed;
  return alive != 0;
}

/** Whether a text may end where the words are. */
export function ends(all: Clusters, rows: usize): bool {
  const count = all.count;
  endInner(count, rows);
  const root = changetype<Row>(rows + <usize>(count - 1) * offsetof<Row>());
  return (load<u32>(WORDS_AT + (<usize>count << 2) - 4) & root.last) != 0;
}
