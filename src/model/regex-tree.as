// The syntax tree of a regular expression of which only yes or no for a whole text is asked. Captures, greed and the order
// of alternatives do not matter then, so each node is put into a smaller or plainer form with the same language when it is
// made: `(a|aa)+` is `a+`, `(x*)*` is `x*`, `a?a?` is `a{0,2}`. Equal nodes are one.

import {
  allocate,
  BUCKETS_AT,
  BUCKETS_MAX,
  keep,
  popTo,
  push,
  pushAll,
  stackTop,
} from "./regex-memory";
import { isSubset, MAX_CODE_POINT, normalize, sortWords } from "./regex-sets";

export const EMPTY: u32 = 0;
export const NONE: u32 = 1;
/** One character of normal pairs. */
export const SET: u32 = 2;
export const ASSERTION: u32 = 3;
export const SEQUENCE: u32 = 4;
export const CHOICE: u32 = 5;
/** A part from `min` to `max` times; there is no repetition of a repetition that could be one. */
export const REPEAT: u32 = 6;

@unmanaged
export class Node {
  kind: u32;
  /** Whether the empty text matches where no assertion holds. */
  isNullable: bool;
  /** The bits of all assertions in it. */
  assertions: u32;
  hash: u32;
  /** The next one in its bucket. */
  next: Node;
  /** Of a set: pairs. Of a sequence or choice: nodes. Of a repetition: the node. Of an assertion: which one. */
  parts: usize;
  /** How many words `parts` are. */
  count: u32;
  /** What was marked last with it. */
  mark: u32;
  min: f64;
  max: f64;
  /** Characters of the shortest and of the longest text, and how many sets there are when repetitions are written out. */
  minLength: f64;
  maxLength: f64;
  setCount: f64;
  /** Its core and how many places it has, when that was asked, else 0 and -1. */
  core: usize;
  places: f64;
  /** Of a set: the first of its leaves, or 0. */
  leaves: usize;
}

let bucketMask: u32 = 0;
let marks: u32 = 0;
let none: Node = changetype<Node>(0);
let empty: Node = changetype<Node>(0);

/** Forgets all nodes before a pattern of `length` characters is read. */
export function clearTree(length: u32): void {
  let size: u32 = 64;
  while (size < length && size < BUCKETS_MAX) size <<= 1;
  memory.fill(BUCKETS_AT, 0, <usize>size << 2);
  bucketMask = size - 1;
  marks = 0;
  none = make(NONE, 0, 0, 0, 0);
  none.minLength = Infinity;
  empty = make(EMPTY, 0, 0, 0, 0);
  empty.isNullable = true;
}

function mix(hash: u32, word: u32): u32 {
  return rotl<u32>((hash ^ word) * 0x9e3779b1, 15);
}

function hashOf(kind: u32, parts: usize, count: u32, least: f64, most: f64): u32 {
  let hash = mix(mix(mix(kind, count), <u32>min(least, 1e9)), <u32>min(most, 1e9));
  if (kind == REPEAT || kind == ASSERTION) hash = mix(hash, <u32>parts);
  else for (let i: usize = 0; i < <usize>count << 2; i += 4) hash = mix(hash, load<u32>(parts + i));
  return hash ^ (hash >> 15);
}

/** The node there is, or 0. */
function find(hash: u32, kind: u32, parts: usize, count: u32, least: f64, most: f64): Node {
  let node = changetype<Node>(load<u32>(BUCKETS_AT + (<usize>(hash & bucketMask) << 2)));
  for (; changetype<usize>(node) != 0; node = node.next) {
    if (node.hash != hash || node.kind != kind || node.count != count) continue;
    if (node.min != least || node.max != most) continue;
    if (kind == REPEAT || kind == ASSERTION) {
      if (node.parts == parts) break;
    } else if (memory.compare(node.parts, parts, <usize>count << 2) == 0) break;
  }
  return node;
}

function make(kind: u32, parts: usize, count: u32, least: f64, most: f64): Node {
  const hash = hashOf(kind, parts, count, least, most);
  const bucket = BUCKETS_AT + (<usize>(hash & bucketMask) << 2);
  const node = changetype<Node>(allocate(offsetof<Node>()));
  node.kind = kind;
  node.isNullable = false;
  node.assertions = 0;
  node.hash = hash;
  node.next = changetype<Node>(load<u32>(bucket));
  node.parts = parts;
  node.count = count;
  node.mark = 0;
  node.min = least;
  node.max = most;
  node.minLength = 0;
  node.maxLength = 0;
  node.setCount = 0;
  node.core = 0;
  node.places = -1;
  node.leaves = 0;
  store<u32>(bucket, <u32>changetype<usize>(node));
  return node;
}

/** The set of the pairs above `at`, which are taken from the stack. */
export function setNode(at: usize): Node {
  normalize(at);
  if (at == stackTop) return none;
  const count = <u32>((stackTop - at) >> 2);
  const known = find(hashOf(SET, at, count, 0, 0), SET, at, count, 0, 0);
  if (changetype<usize>(known) != 0) {
    popTo(at);
    return known;
  }
  const node = make(SET, keep(at), count, 0, 0);
  node.minLength = 1;
  node.maxLength = 1;
  node.setCount = 1;
  return node;
}

/** Counts as not nullable, so that nothing is left out because of it. */
export function assertionNode(assertion: u32): Node {
  const known = find(hashOf(ASSERTION, assertion, 0, 0, 0), ASSERTION, assertion, 0, 0, 0);
  if (changetype<usize>(known) != 0) return known;
  const node = make(ASSERTION, assertion, 0, 0, 0);
  node.assertions = 1 << assertion;
  return node;
}

export function partOf(node: Node, i: u32): Node {
  return changetype<Node>(load<u32>(node.parts + (<usize>i << 2)));
}

function nodeAt(at: usize): Node {
  return changetype<Node>(load<u32>(at));
}

function pushNode(node: Node): void {
  push(<u32>changetype<usize>(node));
}

function isNone(node: Node): bool {
  return node.kind == NONE;
}

/** Adds a part to a sequence whose parts are above `at`. */
export function append(at: usize, added: Node): void {
  if (added.kind != SEQUENCE) appendPart(at, added);
  else for (let i: u32 = 0; i < added.count; i++) appendPart(at, partOf(added, i));
}

/** The same, as one with those before it where `x{a,b}x{c,d}` is `x{a+c,b+d}`, or an `x*` swallows its neighbour. */
function appendPart(at: usize, added: Node): void {
  if (added.kind == EMPTY) return;
  let part = added;
  while (stackTop > at) {
    const joined = join(nodeAt(stackTop - 4), part);
    if (changetype<usize>(joined) == 0) break;
    popTo(stackTop - 4);
    part = joined;
  }
  pushNode(part);
}

/** Both as one, or 0. */
function join(a: Node, b: Node): Node {
  const x = a.kind == REPEAT ? changetype<Node>(a.parts) : a;
  const y = b.kind == REPEAT ? changetype<Node>(b.parts) : b;
  if (x == y) {
    if (x.kind == ASSERTION) return a;
    const least = (a.kind == REPEAT ? a.min : 1) + (b.kind == REPEAT ? b.min : 1);
    const most = (a.kind == REPEAT ? a.max : 1) + (b.kind == REPEAT ? b.max : 1);
    return repeatNode(x, least, most);
  }
  if (isStar(a) && b.isNullable && isMadeOf(y, x)) return a;
  if (isStar(b) && a.isNullable && isMadeOf(x, y)) return b;
  return changetype<Node>(0);
}

function isStar(node: Node): bool {
  return node.kind == REPEAT && node.min == 0 && node.max == Infinity;
}

/** Whether all texts of `inner`, any number of times, are of `part`, any number of times, as far as is easy to see. */
function isMadeOf(inner: Node, part: Node): bool {
  if (inner == part) return true;
  if (part.kind != SET) return false;
  if (load<u32>(part.parts) == 0 && load<u32>(part.parts, 4) == MAX_CODE_POINT) return true;
  return inner.kind == SET && isSubset(inner.parts, inner.count, part.parts, part.count);
}

/** The sequence of the nodes above `at`, which `append` has put there; they are taken from the stack. */
export function sequenceNode(at: usize): Node {
  for (let i = at; i < stackTop; i += 4)
    if (isNone(nodeAt(i))) {
      popTo(at);
      return none;
    }
  const count = <u32>((stackTop - at) >> 2);
  if (count <= 1) {
    const only = count == 0 ? empty : nodeAt(at);
    popTo(at);
    return only;
  }
  const known = find(hashOf(SEQUENCE, at, count, 0, 0), SEQUENCE, at, count, 0, 0);
  if (changetype<usize>(known) != 0) {
    popTo(at);
    return known;
  }
  const node = make(SEQUENCE, keep(at), count, 0, 0);
  node.isNullable = true;
  for (let i: u32 = 0; i < count; i++) {
    const part = partOf(node, i);
    node.minLength += part.minLength;
    node.maxLength += part.maxLength;
    node.setCount += part.setCount;
    node.assertions |= part.assertions;
    if (!part.isNullable) node.isNullable = false;
  }
  return node;
}

/** The choice between the nodes above `at`, which are taken from the stack. */
export function choiceNode(at: usize): Node {
  const end = stackTop;
  // Above them come the plain ones.
  let isOptional = false;
  for (let i = at; i < end; i += 4) if (addChoice(nodeAt(i))) isOptional = true;
  uniteSets(end);
  // Nodes ascend by when they were made.
  sortWords(end);
  // `x|x+` is `x+`.
  const mark = ++marks;
  for (let i = end; i < stackTop; i += 4) {
    const part = nodeAt(i);
    if (part.kind == REPEAT && part.min == 1 && part.max == Infinity)
      changetype<Node>(part.parts).mark = mark;
  }
  let to = at;
  for (let i = end; i < stackTop; i += 4) {
    const part = nodeAt(i);
    if (part.mark == mark) continue;
    // Once is enough.
    part.mark = mark;
    store<u32>(to, <u32>changetype<usize>(part));
    to += 4;
  }
  popTo(to);
  const node = choiceOf(at);
  return isOptional ? repeatNode(node, 0, 1) : node;
}

/** Puts a part of a choice on the stack as plain ones; whether it may be nothing as well. */
function addChoice(part: Node): bool {
  switch (part.kind) {
    case EMPTY:
      return true;
    case NONE:
      return false;
    case CHOICE: {
      let isOptional = false;
      for (let i: u32 = 0; i < part.count; i++)
        if (addChoice(partOf(part, i))) isOptional = true;
      return isOptional;
    }
    case REPEAT: {
      const inner = changetype<Node>(part.parts);
      if (part.min != 0 || inner.isNullable) break;
      // Nullable for its own sake: `x*|y` is `(x+|y)?`.
      addChoice(plainRepeat(inner, 1, part.max));
      return true;
    }
  }
  pushNode(part);
  return false;
}

/** Makes one of all sets above `at`. */
function uniteSets(at: usize): void {
  const end = stackTop;
  let first = changetype<Node>(0);
  let isOne = true;
  for (let i = at; i < end; i += 4) {
    const node = nodeAt(i);
    if (node.kind != SET) continue;
    if (changetype<usize>(first) == 0) first = node;
    else if (node != first) isOne = false;
  }
  if (isOne) return;
  for (let i = at; i < end; i += 4)
    if (nodeAt(i).kind == SET) pushAll(nodeAt(i).parts, nodeAt(i).count);
  const united = setNode(end);
  let to = at;
  for (let i = at; i < end; i += 4)
    if (nodeAt(i).kind != SET) {
      store<u32>(to, load<u32>(i));
      to += 4;
    }
  popTo(to);
  pushNode(united);
}

/** The choice between the nodes above `at`, which are plain, ascend, and are taken from the stack. */
function choiceOf(at: usize): Node {
  const count = <u32>((stackTop - at) >> 2);
  if (count <= 1) {
    const only = count == 0 ? none : nodeAt(at);
    popTo(at);
    return only;
  }
  const known = find(hashOf(CHOICE, at, count, 0, 0), CHOICE, at, count, 0, 0);
  if (changetype<usize>(known) != 0) {
    popTo(at);
    return known;
  }
  const node = make(CHOICE, keep(at), count, 0, 0);
  node.minLength = Infinity;
  for (let i: u32 = 0; i < count; i++) {
    const part = partOf(node, i);
    node.minLength = min(node.minLength, part.minLength);
    node.maxLength = max(node.maxLength, part.maxLength);
    node.setCount += part.setCount;
    node.assertions |= part.assertions;
    if (part.isNullable) node.isNullable = true;
  }
  return node;
}

/** `part` from `least` to `most` times. */
export function repeatNode(part: Node, least: f64, most: f64): Node {
  if (most == 0 || part.kind == EMPTY) return empty;
  if (part.kind == NONE) return least == 0 ? empty : none;
  if (most == 1) {
    if (least == 1 || part.isNullable) return part;
    if (part.kind == ASSERTION) return empty;
    if (part.kind == REPEAT && part.min == 1)
      return plainRepeat(changetype<Node>(part.parts), 0, part.max);
    return plainRepeat(part, 0, 1);
  }
  if (part.kind == ASSERTION) return least == 0 ? empty : part;
  if (most == Infinity) return endless(part, least);
  if (part.isNullable && least > 0) return repeatNode(part, 0, most);
  if (part.kind == REPEAT) {
    // `(x{a,b}){c,d}` leaves no gap between what c turns and c + 1 turns take, and then between none after it.
    const isDense = least == most || (least > 0 && isDenseFrom(part, least));
    if (isDense || part.min == 0 || (part.min == 1 && least == 0))
      return plainRepeat(changetype<Node>(part.parts), part.min * least, part.max * most);
  }
  return plainRepeat(part, least, most);
}

function isDenseFrom(part: Node, turns: f64): bool {
  return (turns + 1) * part.min <= turns * part.max + 1;
}

/** `part` at least `least` times. */
function endless(part: Node, least: f64): Node {
  if (part.isNullable || least == 0) {
    const core = coreOf(part);
    // An assertion takes no character, so any number of times of it is none.
    if (core.kind == EMPTY || core.kind == ASSERTION) return empty;
    return plainRepeat(core, 0, Infinity);
  }
  if (least > 1) {
    if (part.kind == REPEAT && isDenseFrom(part, least))
      return plainRepeat(changetype<Node>(part.parts), part.min * least, Infinity);
    return plainRepeat(part, least, Infinity);
  }
  const core = coreOf(part);
  return core.kind == ASSERTION ? core : plainRepeat(core, 1, Infinity);
}

/** A node whose `+` has the texts of the `+` of `part`, but for the empty one when `part` is nullable. */
function coreOf(part: Node): Node {
  if (part.core == 0) part.core = changetype<usize>(findCore(part));
  return changetype<Node>(part.core);
}

function findCore(part: Node): Node {
  if (part.kind == REPEAT && part.min <= 1) return coreOf(changetype<Node>(part.parts));
  const at = stackTop;
  if (part.kind == SEQUENCE && part.isNullable) {
    for (let i: u32 = 0; i < part.count; i++) pushNode(partOf(part, i));
    return coreOf(choiceNode(at));
  }
  if (part.kind != CHOICE) return part;
  for (let i: u32 = 0; i < part.count; i++) {
    const core = coreOf(partOf(part, i));
    if (core.kind != CHOICE) pushNode(core);
    else for (let j: u32 = 0; j < core.count; j++) pushNode(partOf(core, j));
  }
  // What is only others one after the other is nothing new.
  const mark = ++marks;
  for (let i = at; i < stackTop; i += 4) nodeAt(i).mark = mark;
  let to = at;
  for (let i = at; i < stackTop; i += 4) {
    if (isSpelledBy(nodeAt(i), mark)) continue;
    store<u32>(to, load<u32>(i));
    to += 4;
  }
  popTo(to);
  const node = choiceNode(at);
  return node.kind == REPEAT && node.min == 0 && node.max == 1
    ? changetype<Node>(node.parts)
    : node;
}

/** Whether a sequence or repetition is made of others with `mark` alone. */
function isSpelledBy(node: Node, mark: u32): bool {
  if (node.kind == REPEAT) return isRepeatOf(node, node, mark);
  if (node.kind != SEQUENCE) return false;
  for (let i: u32 = 0; i < node.count; i++) {
    const part = partOf(node, i);
    if (part.mark != mark && !isRepeatOf(part, node, mark)) return false;
  }
  return true;
}

function isRepeatOf(part: Node, whole: Node, mark: u32): bool {
  if (part.kind != REPEAT) return false;
  const inner = changetype<Node>(part.parts);
  return inner.mark == mark && inner != whole;
}

function plainRepeat(part: Node, least: f64, most: f64): Node {
  if (least == 1 && most == 1) return part;
  const parts = changetype<usize>(part);
  const known = find(hashOf(REPEAT, parts, 1, least, most), REPEAT, parts, 1, least, most);
  if (changetype<usize>(known) != 0) return known;
  const node = make(REPEAT, parts, 1, least, most);
  node.isNullable = least == 0 || part.isNullable;
  node.assertions = part.assertions;
  node.minLength = least == 0 ? 0 : part.minLength * least;
  node.maxLength = part.maxLength == 0 ? 0 : part.maxLength * most;
  node.setCount = part.setCount * copiesOf(node);
  return node;
}

/** How often the part of a repetition is there when that is written out. */
export function copiesOf(node: Node): f64 {
  return node.max == Infinity ? max(1, node.min) : node.max;
}
