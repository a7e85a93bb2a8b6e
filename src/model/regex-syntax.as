// Reads regular expressions under `^(?s:…)$` in the syntax of RE2. What is read here, the engine reads the same way; what is
// wrong, near a limit, or in one of a few odd corners is left to it.

import {
  allocate,
  INPUT_AT,
  ITEMS_AT,
  popTo,
  push,
  pushAll,
  stackTop,
} from "./regex-memory";
import { complement, fold, MAX_CODE_POINT, normalize, pushRange } from "./regex-sets";
import {
  append,
  assertionNode,
  choiceNode,
  clearTree,
  Node,
  repeatNode,
  sequenceNode,
  SET,
  setNode,
} from "./regex-tree";

export const TEXT_START: u32 = 0;
export const TEXT_END: u32 = 1;
export const LINE_START: u32 = 2;
export const LINE_END: u32 = 3;
export const WORD_BOUNDARY: u32 = 4;
export const NO_WORD_BOUNDARY: u32 = 5;

/** Go's limits. It counts in a way of its own: where they are near, the engine has to say what it takes. */
const GO_SIZE_MAX: f64 = 3_355_443;
const GO_HEIGHT_MAX: u32 = 1000;
const SIZE_MAX: f64 = 3_200_000;
const HEIGHT_MAX: u32 = 900;
/** Nested repetitions, multiplied. */
const REPEAT_MAX: f64 = 1000;

const FOLD: u32 = 1;
const MULTILINE: u32 = 2;
const DOT_NEWLINE: u32 = 4;
/** Of a group, whether it captures. */
const IS_CAPTURE: u32 = 8;

/** Kinds of names of classes: after a backslash, as `[:name:]`, and of Unicode. */
const PERL_CLASS: u32 = 0;
const POSIX_CLASS: u32 = 1;
const UNICODE_CLASS: u32 = 2;

/** What is wrong with a pattern, as regex-kernel.ts words it. */
const UNKNOWN: u32 = 0;
const UNEXPECTED_PARENTHESIS: u32 = 1;
const MISSING_PARENTHESIS: u32 = 2;
const TOO_LARGE: u32 = 3;
const TOO_DEEP: u32 = 4;
const NESTED_REPETITION: u32 = 5;
const MISSING_ARGUMENT: u32 = 6;
const WRONG_COUNT: u32 = 7;
const MISSING_BRACKET: u32 = 8;
const WRONG_RANGE: u32 = 9;

/**
 * A node with what Go's limits are about: how large and how high it is as written, and its nested repetitions. It is not
 * larger or higher than that in Go, and not smaller or lower than the least.
 */
@unmanaged
class Item {
  node: Node;
  height: u32;
  size: f64;
  repeats: f64;
  leastSize: f64;
  leastHeight: u32;
  /** Whether it is a repetition that is not counted. One of another is no higher in Go. */
  isRepetition: bool;
  /** What it starts with as written, or 0 where that is not one thing. */
  first: u32;
}

/** In the place of an item: the group around the one whose items come next. */
@unmanaged
class Group {
  flags: u32;
  items: usize;
  sequence: usize;
}

/** A class that the host has told of; the members with all that differ in case only are made when they are first asked for. */
@unmanaged
class NamedClass {
  next: NamedClass;
  kind: u32;
  name: usize;
  length: u32;
  ranges: usize;
  count: u32;
  folded: usize;
  foldedCount: u32;
  /** Which brackets it stood in last, and which turned round. */
  brackets: u32;
  negatedBrackets: u32;
  /** Its nodes in the pattern of that number, or 0: itself, folded, turned round, and both. */
  pattern: u32;
  nodes: usize;
}

let classes: NamedClass = changetype<NamedClass>(0);
let at: u32 = 0;
let end: u32 = 0;
let flags: u32 = 0;
/** Where the items of the group start, first its alternatives, then those of the sequence that is read, and where they end. */
let groupItems: usize = 0;
let sequenceItems: usize = 0;
let top: usize = 0;
let depth: u32 = 0;
/** How many patterns and brackets there were. */
let patterns: u32 = 0;
let brackets: u32 = 0;
/** What is wrong, and the text it is about; where nothing certain can be said, it is what starts there. */
let failure: u32 = UNKNOWN;
let failedFrom: u32 = 0;
let failedTo: u32 = 0;
/** Where the repetition right before starts, or `NOWHERE`. */
let repetitionAt: u32 = 0;
const NOWHERE: u32 = 0xffffffff;
/** Whether what stands before can be repeated. */
let isRepeatable: bool = false;

const itemSize: usize = 48;

/** What is wrong with the pattern that was read last, and where that starts and ends. */
export function failureKind(): u32 {
  return failure;
}

export function failureFrom(): u32 {
  return failedFrom;
}

export function failureTo(): u32 {
  return failedTo;
}

function fail(kind: u32, from: u32, to: u32): bool {
  failure = kind;
  failedFrom = from;
  failedTo = to;
  return false;
}

/** Forgets all classes. */
export function forgetClasses(): void {
  classes = changetype<NamedClass>(0);
}

/** Learns a class: in the input are the `length` units of its name, from an even place on its `count` words. */
export function learnClass(kind: u32, length: u32, count: u32): void {
  const named = changetype<NamedClass>(allocate(offsetof<NamedClass>()));
  named.next = classes;
  named.kind = kind;
  named.length = length;
  named.name = allocate(<usize>length << 1);
  memory.copy(named.name, INPUT_AT, <usize>length << 1);
  named.count = count;
  named.ranges = allocate(<usize>count << 2);
  memory.copy(named.ranges, INPUT_AT + (<usize>((length + 1) & ~1) << 1), <usize>count << 2);
  named.folded = 0;
  named.brackets = 0;
  named.negatedBrackets = 0;
  named.pattern = 0;
  named.nodes = allocate(16);
  classes = named;
}

function unitAt(i: u32): u32 {
  return i < end ? load<u16>(INPUT_AT + (<usize>i << 1)) : 0xffffffff;
}

/** The character at `i`, which is one or two units long: the text is well-formed. */
function codeAt(i: u32): u32 {
  const unit = unitAt(i);
  if ((unit & 0xfffffc00) != 0xd800) return unit;
  return 0x10000 + ((unit & 0x3ff) << 10) + (unitAt(i + 1) & 0x3ff);
}

function takeCode(): u32 {
  const code = codeAt(at);
  at += code > 0xffff ? 2 : 1;
  return code;
}

function isDigit(unit: u32): bool {
  return unit >= 0x30 && unit <= 0x39;
}

function isOctal(unit: u32): bool {
  return unit >= 0x30 && unit <= 0x37;
}

function isLetter(unit: u32): bool {
  return (unit | 32) >= 0x61 && (unit | 32) <= 0x7a;
}

export function isWord(unit: u32): bool {
  return isDigit(unit) || isLetter(unit) || unit == 0x5f;
}

function hexadecimal(unit: u32): u32 {
  if (isDigit(unit)) return unit - 0x30;
  const letter = unit | 32;
  return letter >= 0x61 && letter <= 0x66 ? letter - 87 : 16;
}

/** The tree of the `length` units in the input, or 0. Nodes there were before may be in it if `isFirst` is false. */
export function parse(length: u32, isFirst: bool): Node {
  if (isFirst) clearTree(length);
  at = 0;
  end = length;
  flags = DOT_NEWLINE;
  top = ITEMS_AT;
  groupItems = top;
  sequenceItems = top;
  depth = 0;
  patterns++;
  isRepeatable = false;
  repetitionAt = NOWHERE;
  failure = UNKNOWN;
  const nothing = changetype<Node>(0);
  while (at < end) {
    failedFrom = at;
    if (!step()) return nothing;
  }
  failedFrom = 0;
  closeChoice();
  if (!isWithinLimits()) return nothing;
  if (depth > 0) {
    fail(MISSING_PARENTHESIS, 0, end);
    return nothing;
  }
  return itemAt(top - itemSize).node;
}

/** Whether the last item is small and low enough. */
function isWithinLimits(): bool {
  const item = itemAt(top - itemSize);
  if (item.leastSize > GO_SIZE_MAX) return fail(TOO_LARGE, 0, end);
  if (item.leastHeight > GO_HEIGHT_MAX) return fail(TOO_DEEP, 0, end);
  return item.size <= SIZE_MAX && item.height <= HEIGHT_MAX;
}

function itemAt(place: usize): Item {
  return changetype<Item>(place);
}

/** Takes one thing; whether it is known. */
function step(): bool {
  const before = repetitionAt;
  repetitionAt = NOWHERE;
  switch (unitAt(at)) {
    case 0x28: // (
      return open();
    case 0x7c: // |
      at++;
      closeSequence();
      sequenceItems = top;
      isRepeatable = false;
      return true;
    case 0x29: // )
      return close();
    case 0x2a: // *
      return repeat(at, at + 1, before, 0, Infinity, false);
    case 0x2b: // +
      return repeat(at, at + 1, before, 1, Infinity, false);
    case 0x3f: // ?
      return repeat(at, at + 1, before, 0, 1, false);
    case 0x7b: // {
      return counted(before);
    case 0x5b: // [
      return bracketed();
    case 0x5c: // \
      return escape();
    case 0x2e: { // .
      at++;
      const base = stackTop;
      if ((flags & DOT_NEWLINE) != 0) pushRange(0, MAX_CODE_POINT);
      else {
        pushRange(0, 9);
        pushRange(11, MAX_CODE_POINT);
      }
      return pushNode(setNode(base));
    }
    case 0x5e: // ^
      at++;
      return pushNode(assertionNode((flags & MULTILINE) != 0 ? LINE_START : TEXT_START));
    case 0x24: // $
      at++;
      return pushNode(assertionNode((flags & MULTILINE) != 0 ? LINE_END : TEXT_END));
  }
  return pushLiteral(takeCode());
}

function pushLiteral(code: u32): bool {
  const base = stackTop;
  pushRange(code, code);
  if ((flags & FOLD) != 0) fold(base);
  return pushNode(setNode(base));
}

function pushNode(node: Node): bool {
  pushItem(node, 1, 1, 1, 1, 1);
  return true;
}

function pushItem(
  node: Node,
  size: f64,
  height: u32,
  repeats: f64,
  leastSize: f64,
  leastHeight: u32,
): void {
  const item = itemAt(top);
  top += itemSize;
  item.node = node;
  item.size = size;
  item.height = height;
  item.repeats = repeats;
  item.leastSize = leastSize;
  item.leastHeight = leastHeight;
  item.isRepetition = false;
  item.first = <u32>changetype<usize>(node);
  isRepeatable = true;
}

/** What changes flags or quotes nothing: a repetition after it is one of what stands before it. */
function pushNothing(): bool {
  isRepeatable = top > sequenceItems;
  return true;
}

function open(): bool {
  const outer = flags;
  let inner = flags | IS_CAPTURE;
  if (unitAt(at + 1) == 0x3f) {
    // (?P<name> and (?<name>, else flags.
    const start = unitAt(at + 2) == 0x50 ? at + 3 : at + 2;
    if (unitAt(start) == 0x3c) {
      if (!takeName(start + 1)) return false;
    } else {
      let i = at + 2;
      let isOn = true;
      let count: u32 = 0;
      inner = flags;
      for (; ; i++) {
        const unit = unitAt(i);
        if (unit == 0x2d && isOn) {
          isOn = false;
          count = 0;
          continue;
        }
        let flag: u32 = 0;
        if (unit == 0x69) flag = FOLD;
        else if (unit == 0x6d) flag = MULTILINE;
        else if (unit == 0x73) flag = DOT_NEWLINE;
        else if (unit != 0x55) break;
        count++;
        inner = isOn ? inner | flag : inner & ~flag;
      }
      const last = unitAt(i);
      // Nothing to turn off, or nothing at all.
      if (count == 0 && (!isOn || last == 0x29)) return false;
      at = i + 1;
      if (last == 0x29) {
        flags = inner;
        return pushNothing();
      }
      if (last != 0x3a) return false;
    }
  } else at++;
  const group = changetype<Group>(top);
  top += itemSize;
  group.flags = outer | (inner & IS_CAPTURE);
  group.items = groupItems;
  group.sequence = sequenceItems;
  groupItems = top;
  sequenceItems = top;
  depth++;
  flags = inner & ~IS_CAPTURE;
  isRepeatable = false;
  return true;
}

/** Takes the rest of the start of a group whose name starts at `start`; whether it is one. Several may have the same. */
function takeName(start: u32): bool {
  let i = start;
  while (isWord(unitAt(i))) i++;
  if (i == start || unitAt(i) != 0x3e) return false;
  at = i + 1;
  return true;
}

function close(): bool {
  closeChoice();
  if (depth == 0) return isWithinLimits() && fail(UNEXPECTED_PARENTHESIS, 0, end);
  at++;
  depth--;
  // The item takes the place of the group.
  const item = itemAt(top - itemSize);
  const group = changetype<Group>(groupItems - itemSize);
  const isCapture = (group.flags & IS_CAPTURE) != 0;
  flags = group.flags & ~IS_CAPTURE;
  top = groupItems;
  groupItems = group.items;
  sequenceItems = group.sequence;
  memory.copy(top - itemSize, changetype<usize>(item), itemSize);
  if (isCapture) {
    const capture = itemAt(top - itemSize);
    capture.size += 2;
    capture.height++;
    capture.leastSize += 2;
    capture.leastHeight++;
    capture.isRepetition = false;
    capture.first = 0;
  }
  isRepeatable = true;
  return isWithinLimits();
}

/** Makes one item of those of the sequence that was read last. */
function closeSequence(): void {
  if (top - sequenceItems == itemSize) return;
  let size: f64 = 0;
  let leastSize: f64 = 0;
  let height: u32 = 0;
  let leastHeight: u32 = 1;
  let repeats: f64 = 1;
  const base = stackTop;
  for (let place = sequenceItems; place < top; place += itemSize) {
    const item = itemAt(place);
    size += item.size;
    leastSize += item.leastSize;
    height = max(height, item.height);
    leastHeight = max(leastHeight, item.leastHeight);
    repeats = max(repeats, item.repeats);
    append(base, item.node);
  }
  const isEmpty = top == sequenceItems;
  const first = itemAt(sequenceItems).first;
  top = sequenceItems;
  const node = sequenceNode(base);
  pushItem(node, max(1, size), height + 1, repeats, max(1, leastSize), leastHeight);
  itemAt(top - itemSize).first = isEmpty ? 0 : first;
}

/** Makes one item of all alternatives of the group. */
function closeChoice(): void {
  closeSequence();
  if (top - groupItems == itemSize) return;
  let size: f64 = -1;
  let isAfterSingle = false;
  const leastSize = leastOfChoice();
  let height: u32 = 0;
  let leastHeight: u32 = 1;
  let repeats: f64 = 1;
  const base = stackTop;
  for (let place = groupItems; place < top; place += itemSize) {
    const item = itemAt(place);
    // Characters side by side are one class in Go.
    const isSingle = item.node.kind == SET && item.size == 1 && item.height == 1;
    if (!isSingle || !isAfterSingle) size += item.size + 1;
    isAfterSingle = isSingle;
    height = max(height, item.height);
    leastHeight = max(leastHeight, item.leastHeight);
    repeats = max(repeats, item.repeats);
    push(<u32>changetype<usize>(item.node));
  }
  top = groupItems;
  pushItem(choiceNode(base), size, height + 1, repeats, leastSize, leastHeight);
  itemAt(top - itemSize).first = 0;
}

/** How large all alternatives of the group are at least. */
function leastOfChoice(): f64 {
  let largest: f64 = 1;
  let sum: f64 = 0;
  let count: f64 = 0;
  let hasSingle = false;
  let before: u32 = 0;
  let isApart = true;
  for (let place = groupItems; place < top; place += itemSize) {
    const item = itemAt(place);
    largest = max(largest, item.leastSize);
    if (item.first == 0 || item.first == before) isApart = false;
    before = item.first;
    // Go makes one class of those that are one character.
    if (item.leastSize == 1) hasSingle = true;
    else {
      sum += item.leastSize;
      count++;
    }
  }
  // It takes what neighbours start with in common out of them.
  if (!isApart) return largest;
  return sum + count - 1 + (hasSingle ? 2 : 0);
}

/** A repetition in braces, or a brace that is a character; false where it is a repetition that is wrong. */
function counted(before: u32): bool {
  let i = at + 1;
  const first = i;
  while (isDigit(unitAt(i))) i++;
  let isText = !isNumber(first, i);
  let isTooLarge = i - first > 4;
  const least = numberOf(first, i);
  let most = least;
  if (unitAt(i) == 0x2c) {
    const second = ++i;
    while (isDigit(unitAt(i))) i++;
    most = Infinity;
    if (i > second) {
      if (!isNumber(second, i)) isText = true;
      if (i - second > 4) isTooLarge = true;
      most = numberOf(second, i);
    }
  }
  if (isText || unitAt(i) != 0x7d) return pushLiteral(takeCode());
  if (isTooLarge || least > REPEAT_MAX || least > most || (most > REPEAT_MAX && most != Infinity))
    return fail(WRONG_COUNT, at, i + 1);
  return repeat(at, i + 1, before, least, most, true);
}

/** Whether there are digits from `from` to `to`, without a zero in front of others: with one, it is text. */
function isNumber(from: u32, to: u32): bool {
  return to > from && (to - from == 1 || unitAt(from) != 0x30);
}

function numberOf(from: u32, to: u32): f64 {
  let value: f64 = 0;
  for (let i = from; i < to; i++) value = value * 10 + <f64>(unitAt(i) - 0x30);
  return value;
}

/** Repeats the last item by what is written from `from` to `to`; the repetition before that, if any, starts at `before`. */
function repeat(
  from: u32,
  to: u32,
  before: u32,
  least: f64,
  most: f64,
  isCounted: bool,
): bool {
  // Whether as few or as many as possible are taken says nothing about the text as a whole.
  at = unitAt(to) == 0x3f ? to + 1 : to;
  if (before != NOWHERE) return fail(NESTED_REPETITION, before, at);
  if (!isRepeatable) return fail(MISSING_ARGUMENT, from, at);
  top -= itemSize;
  const item = itemAt(top);
  const isAgain = item.isRepetition && !isCounted;
  const leastHeight = isAgain ? item.leastHeight : item.leastHeight + 1;
  let leastSize = item.leastSize;
  let size = item.size;
  let repeats = item.repeats;
  if (!isCounted) size += least == 0 && most == Infinity ? 2 : 1;
  else {
    const times = most == Infinity ? max(1, least) : most;
    if (most == Infinity) size = least == 0 ? size + 2 : 1 + least * size;
    else size = max(1, most * size + most - least);
    leastSize = max(1, times * leastSize);
    repeats = most == 0 ? 1 : times * repeats;
  }
  const node = repeatNode(item.node, least, most);
  pushItem(node, size, item.height + 1, repeats, leastSize, leastHeight);
  itemAt(top - itemSize).isRepetition = !isCounted;
  isRepeatable = false;
  repetitionAt = from;
  if (!isWithinLimits()) return false;
  return !isCounted || repeats <= REPEAT_MAX || (least < 2 && most < 2);
}

function escape(): bool {
  const unit = unitAt(at + 1);
  switch (unit) {
    case 0x41: // A
      at += 2;
      return pushNode(assertionNode(TEXT_START));
    case 0x7a: // z
      at += 2;
      return pushNode(assertionNode(TEXT_END));
    case 0x62: // b
      at += 2;
      return pushNode(assertionNode(WORD_BOUNDARY));
    case 0x42: // B
      at += 2;
      return pushNode(assertionNode(NO_WORD_BOUNDARY));
    case 0x51: // Q
      return quoted();
  }
  const named = escapedClass();
  if (changetype<usize>(named) != 0) return pushNode(classNode(named));
  const code = escapedCode();
  return code != NO_CODE && pushLiteral(code);
}

function quoted(): bool {
  at += 2;
  const from = at;
  while (at < end && (unitAt(at) != 0x5c || unitAt(at + 1) != 0x45)) pushLiteral(takeCode());
  // What is quoted to the end quotes the anchors too.
  if (at == end) return false;
  const isEmpty = at == from;
  at += 2;
  return isEmpty ? pushNothing() : true;
}

let isClassNegated: bool = false;

/** Takes `\d`, `\pL` and the like, if that is what stands here; whether it is turned round is in `isClassNegated`. */
function escapedClass(): NamedClass {
  const nothing = changetype<NamedClass>(0);
  const unit = unitAt(at + 1);
  const lower = unit | 32;
  if (lower == 0x64 || lower == 0x73 || lower == 0x77) {
    // The name is the letter in lower case.
    const named = classNamed(PERL_CLASS, lower, at + 1, 1);
    at += 2;
    isClassNegated = unit != lower;
    return named;
  }
  if (lower != 0x70) return nothing;
  let isNegated = unit == 0x50;
  let from = at + 2;
  let to = from + 1;
  let next = to;
  if (unitAt(from) == 0x7b) {
    from++;
    if (unitAt(from) == 0x5e) {
      isNegated = !isNegated;
      from++;
    }
    to = from;
    while (to < end && unitAt(to) != 0x7d) to++;
    if (to == from || to == end) return nothing;
    next = to + 1;
  } else if (from == end) return nothing;
  const named = classNamed(UNICODE_CLASS, unitAt(from), from, to - from);
  if (changetype<usize>(named) != 0) at = next;
  isClassNegated = isNegated;
  return named;
}

/** The class whose name starts with `first` and goes on behind `from`, or 0. */
function classNamed(kind: u32, first: u32, from: u32, length: u32): NamedClass {
  let named = classes;
  const rest = INPUT_AT + (<usize>from << 1) + 2;
  for (; changetype<usize>(named) != 0; named = named.next)
    if (
      named.kind == kind &&
      named.length == length &&
      load<u16>(named.name) == first &&
      memory.compare(named.name + 2, rest, (<usize>length << 1) - 2) == 0
    )
      break;
  return named;
}

/** The node of a class by itself. */
function classNode(named: NamedClass): Node {
  if (named.pattern != patterns) memory.fill(named.nodes, 0, 16);
  named.pattern = patterns;
  const place = named.nodes + ((flags & FOLD) != 0 ? 4 : 0) + (isClassNegated ? 8 : 0);
  let node = load<u32>(place);
  if (node == 0) {
    const base = stackTop;
    pushClass(named, isClassNegated);
    store<u32>(place, (node = <u32>changetype<usize>(setNode(base))));
  }
  return changetype<Node>(node);
}

function pushClass(named: NamedClass, isNegated: bool): void {
  const base = stackTop;
  if ((flags & FOLD) == 0) pushAll(named.ranges, named.count);
  else if (named.folded != 0) pushAll(named.folded, named.foldedCount);
  else {
    pushAll(named.ranges, named.count);
    fold(base);
    normalize(base);
    const size = stackTop - base;
    named.foldedCount = <u32>(size >> 2);
    named.folded = allocate(size);
    memory.copy(named.folded, base, size);
  }
  if (isNegated) complement(base);
}

const NO_CODE: u32 = 0xffffffff;

/** Takes the character after a backslash, when it stands for one. */
function escapedCode(): u32 {
  const unit = unitAt(at + 1);
  if (isOctal(unit)) {
    let i = at + 2;
    let code = unit - 0x30;
    while (i < at + 4 && isOctal(unitAt(i))) code = (code << 3) + (unitAt(i++) - 0x30);
    // One digit alone, but for zero, would be a group.
    if (i == at + 2 && unit != 0x30) return NO_CODE;
    at = i;
    return code;
  }
  if (unit == 0x78) return hexadecimalCode();
  if (unit > 0x7f) return NO_CODE;
  let code = unit;
  if (isDigit(unit) || isLetter(unit)) {
    if (unit == 0x61) code = 7;
    else if (unit == 0x66) code = 12;
    else if (unit == 0x6e) code = 10;
    else if (unit == 0x72) code = 13;
    else if (unit == 0x74) code = 9;
    else if (unit == 0x76) code = 11;
    else return NO_CODE;
  } else if (unit <= 32 || unit == 0x7f) return NO_CODE;
  at += 2;
  return code;
}

/** Takes `\x61` or `\x{61}`. */
function hexadecimalCode(): u32 {
  let i = at + 2;
  const isBraced = unitAt(i) == 0x7b;
  if (isBraced) i++;
  const from = i;
  const most = from + (isBraced ? 8 : 2);
  let code: u32 = 0;
  while (i < most && hexadecimal(unitAt(i)) < 16) code = (code << 4) | hexadecimal(unitAt(i++));
  if (isBraced ? i == from || unitAt(i) != 0x7d : i != most) return NO_CODE;
  if (code > MAX_CODE_POINT || (code >= 0xd800 && code <= 0xdfff)) return NO_CODE;
  at = isBraced ? i + 1 : i;
  return code;
}

function bracketed(): bool {
  const base = stackTop;
  const isKnown = pushBracketed(base);
  if (!isKnown) popTo(base);
  return isKnown && pushNode(setNode(base));
}

function pushBracketed(base: usize): bool {
  at++;
  brackets++;
  const isNegated = unitAt(at) == 0x5e;
  if (isNegated) at++;
  for (let isFirst = true; ; isFirst = false) {
    if (at >= end) return fail(MISSING_BRACKET, failedFrom, end);
    if (unitAt(at) == 0x5d && !isFirst) break;
    const named = classWithin();
    if (changetype<usize>(named) != 0) {
      pushClassOnce(named);
      continue;
    }
    const range = at;
    const from = member();
    if (from == NO_CODE) return false;
    let to = from;
    if (unitAt(at) == 0x2d && unitAt(at + 1) != 0x5d) {
      at++;
      to = member();
    }
    if (to == NO_CODE) return at >= end && fail(MISSING_BRACKET, failedFrom, end);
    if (to < from) return fail(WRONG_RANGE, range, at);
    const pair = stackTop;
    pushRange(from, to);
    if ((flags & FOLD) != 0) fold(pair);
  }
  at++;
  if (isNegated) complement(base);
  return true;
}

/** Takes a class within brackets, if that is what stands here. */
function classWithin(): NamedClass {
  const nothing = changetype<NamedClass>(0);
  const unit = unitAt(at);
  if (unit == 0x5c) return escapedClass();
  if (unit != 0x5b || unitAt(at + 1) != 0x3a) return nothing;
  let from = at + 2;
  const isNegated = unitAt(from) == 0x5e;
  if (isNegated) from++;
  let to = from;
  while (isWord(unitAt(to))) to++;
  if (to == from || unitAt(to) != 0x3a || unitAt(to + 1) != 0x5d) return nothing;
  const named = classNamed(POSIX_CLASS, unitAt(from), from, to - from);
  if (changetype<usize>(named) != 0) at = to + 2;
  isClassNegated = isNegated;
  return named;
}

/** Puts what `classWithin` took on the stack, unless it is in these brackets already: they may say it very often. */
function pushClassOnce(named: NamedClass): void {
  const last = isClassNegated ? named.negatedBrackets : named.brackets;
  if (last == brackets) return;
  if (isClassNegated) named.negatedBrackets = brackets;
  else named.brackets = brackets;
  pushClass(named, isClassNegated);
}

/** Takes one character of a class. */
function member(): u32 {
  if (at >= end) return NO_CODE;
  if (unitAt(at) == 0x5c) return escapedCode();
  // What looks like a class with a name is one, or wrong.
  if (unitAt(at) == 0x5b && unitAt(at + 1) == 0x3a) return NO_CODE;
  return takeCode();
}
