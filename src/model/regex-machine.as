// Users' regular expressions held against whole texts, in AssemblyScript: all of it, since a pattern of 10 KB that comes
// first in a process finds no code that is compiled well, and WebAssembly is fast from the start. regex-kernel.ts is the host,
// regex-kernel.test.ts compiles it.
//
// A pattern becomes a tree in the plainest form with the same language (regex-syntax.as, regex-tree.as), and that clusters of
// places, 32 of which move on together (regex-clusters.as). The set of places where a text may stand is moved on character
// by character, and what came of it is kept as a deterministic automaton, whose states are made when they are first
// reached. So a character costs one look-up mostly, and a few operations for 32 places at worst.

import {
  Clusters,
  ends,
  hashed,
  Leaf,
  leafOf,
  makeClusters,
  makeTables,
  placesOf,
  step,
  Tables,
} from "./regex-clusters";
import { COUNT_MAX, Counters, countStep, makeCounters, restartCounters } from "./regex-counters";
import { allocate, allocateZero, CODES_AT, CODES_BYTES, CODES_SUMMARY_BYTES, forgetAll, INPUT_AT, keep, push, popTo, stackTop, WORDS_AT } from "./regex-memory";
import { contains } from "./regex-sets";
import {
  forgetClasses,
  isWord,
  LINE_END,
  LINE_START,
  NO_WORD_BOUNDARY,
  parse,
  TEXT_END,
  TEXT_START,
  WORD_BOUNDARY,
} from "./regex-syntax";
import { Node } from "./regex-tree";

export { used } from "./regex-memory";
export { failureFrom, failureKind, failureTo, learnClass } from "./regex-syntax";

/** States kept at a time, and the words they take in all; when there are more, all are forgotten and found again. */
const STATES_MAX: u32 = 512;
const STATE_WORDS_MAX: u32 = 1 << 20;
const STATES_MIN: u32 = 8;
/** States there is room for at first. */
const STATES_AT_FIRST: u32 = 32;
/** Bytes that a pattern's letters may take; when there are more, all are forgotten and made again. */
const LETTERS_MAX: usize = 8 << 20;

/** Most clusters moved on by a character, over all characters of a text that lead to no known state. */
const MOVES_MAX: u32 = 1_600_000;
/** Making a cluster takes as long as this many moves. */
const MOVES_TO_MAKE: u32 = 700;

/** What is in a table where nobody has asked yet, the state that no text leads out of, and that of no text. */
const UNKNOWN_STATE: u32 = 0;
const DEAD_STATE: u32 = 1;
const START_STATE: u32 = 2;

/** What is said of a text, or of a piece of it. */
const NO: u32 = 0;
const YES: u32 = 1;
const MORE: u32 = 2;
const TOO_MUCH: u32 = 3;

/** Kinds of letters; what stands before the first or behind the last one is of none. */
const IS_WORD: u32 = 1;
const IS_NEWLINE: u32 = 2;
const NO_LETTER: u32 = 4;

/** A letter of the alphabet: all characters between which the pattern does not tell. */
@unmanaged
class Letter {
  /** The one that was made before it. */
  older: Letter;
  kind: u32;
  /** Of each cluster: the bits of the places where it may stand. */
  bits: usize;
  /** Of each state, which state this letter leads to, or 0 where that is not known: two bytes each. */
  next: usize;
}

@unmanaged
class Program {
  /** What the host looks at: places, length of the shortest and longest text in characters, assertions. */
  places: f64;
  minLength: f64;
  maxLength: f64;
  assertions: u32;
  root: Node;
  /** The rest is made when a text first needs it; null until then. */
  clusters: Clusters;
  counters: Counters;
  /** Tables by the bits of the assertions that hold, or 0. */
  variants: usize;
  /** Where the characters of each letter start, ascending, and the letter of each, or 0. */
  starts: usize;
  startCount: u32;
  letters: usize;
  /** The letters of the first 128 characters, or 0. */
  ascii: usize;
  newest: Letter;
  letterBytes: usize;
  /** Letters to be made anew. */
  unused: Letter;
  /** The leaves of sets of one character, by the letter, and those of all others, one after the other. */
  singles: usize;
  sets: usize;
  setCount: u32;
  /** The words of all states, one after the other: of each cluster, where the text may stand, and the kind of the last letter. */
  words: usize;
  /** Bytes of a state. */
  stateSize: usize;
  stateCount: u32;
  stateCapacity: u32;
  stateMax: u32;
  /** States by hash: two bytes each; and the hashes. */
  known: usize;
  knownMask: u32;
  hashes: usize;
  /** Of each state, whether a text that ends there matches: 0 where that is not known, else 1 for no and 2 for yes. */
  verdicts: usize;
}

let program: Program = changetype<Program>(0);
/** Where the text that comes in pieces stands. */
let state: u32 = START_STATE;
let isStart: bool = true;
let position: u32 = 0;
/** How many clusters were moved on. */
let moves: u32 = 0;

/** Forgets all patterns and classes. */
export function forget(): void {
  forgetAll();
  forgetClasses();
  memory.fill(CODES_AT, 0, CODES_BYTES);
}

/** Reads the pattern of `length` units in the input: where its program is, or 0 when it is left to the engine. */
export function compile(length: u32): usize {
  const root = parse(length, true);
  if (changetype<usize>(root) == 0) return 0;
  const made = changetype<Program>(allocateZero(offsetof<Program>()));
  made.places = placesOf(root);
  made.minLength = root.minLength;
  made.maxLength = root.maxLength;
  made.assertions = root.assertions;
  made.root = root;
  return changetype<usize>(made);
}

/** The tree of the pattern in the input beside those that were read before, for tests: equal trees are one. */
export function treeOf(length: u32, isFirst: bool): usize {
  return changetype<usize>(parse(length, isFirst));
}

function build(): void {
  const clusters = makeClusters(program.root);
  program.clusters = clusters;
  program.counters = makeCounters(clusters);
  program.variants = allocateZero(64 << 2);
  makeAlphabet();
  const words = clusters.count + 1;
  program.stateSize = <usize>words << 2;
  program.stateMax = max(STATES_MIN, min(STATES_MAX, STATE_WORDS_MAX / words));
  growStates(min(STATES_AT_FIRST, program.stateMax));
}

/** Makes room for `capacity` states; all that there are are forgotten. */
function growStates(capacity: u32): void {
  program.stateCapacity = capacity;
  program.words = allocate(<usize>capacity * program.stateSize);
  program.verdicts = allocate(capacity);
  program.hashes = allocate(<usize>capacity << 2);
  let size: u32 = 16;
  while (size < capacity << 1) size <<= 1;
  program.known = allocate(<usize>size << 1);
  program.knownMask = size - 1;
  for (let each = program.newest; changetype<usize>(each) != 0; each = each.older)
    each.next = allocate(<usize>capacity << 1);
  program.unused = changetype<Letter>(0);
  restart();
}

/** Forgets all states. */
function restart(): void {
  const size = <usize>program.stateCapacity << 1;
  memory.fill(program.known, 0, (<usize>program.knownMask + 1) << 1);
  memory.fill(program.verdicts, 0, program.stateCapacity);
  for (let each = program.newest; changetype<usize>(each) != 0; each = each.older)
    memory.fill(each.next, 0, size);
  memory.fill(program.words, 0, <usize>(START_STATE + 1) * program.stateSize);
  program.stateCount = START_STATE + 1;
}

/** Notes that letters differ from `code` on. */
function addStart(code: u32): void {
  const bit = CODES_AT + CODES_SUMMARY_BYTES + (<usize>(code >> 6) << 3);
  store<u64>(bit, load<u64>(bit) | ((<u64>1) << (code & 63)));
  const summary = CODES_AT + (<usize>(code >> 12) << 3);
  store<u64>(summary, load<u64>(summary) | ((<u64>1) << ((code >> 6) & 63)));
}

function addStarts(ranges: usize, count: u32): void {
  for (let i = ranges, end = ranges + (<usize>count << 2); i < end; i += 8) {
    addStart(load<u32>(i));
    addStart(load<u32>(i, 4) + 1);
  }
}

/** Takes all starts from the map, which is all zero then, to the stack. */
function takeStarts(): void {
  for (let i: usize = 0; i < CODES_SUMMARY_BYTES; i += 8) {
    for (let blocks = load<u64>(CODES_AT + i); blocks != 0; blocks &= blocks - 1) {
      const block = (i << 3) + <usize>ctz(blocks);
      const at = CODES_AT + CODES_SUMMARY_BYTES + (block << 3);
      for (let bits = load<u64>(at); bits != 0; bits &= bits - 1)
        push(<u32>(block << 6) + <u32>ctz(bits));
      store<u64>(at, 0);
    }
    store<u64>(CODES_AT + i, 0);
  }
}

/** Finds between which characters the pattern tells. */
function makeAlphabet(): void {
  const clusters = program.clusters;
  const at = stackTop;
  addStart(0);
  if (program.assertions != 0) {
    addStart(10);
    addStart(11);
    for (let code: u32 = 0x30; code <= 0x7b; code++)
      if (isWord(code) != isWord(code - 1)) addStart(code);
  }
  for (let i: u32 = 0; i < clusters.leafCount; i++) {
    const leaf = leafOf(clusters, i);
    const set = leaf.set;
    leaf.next = changetype<Leaf>(set.leaves);
    set.leaves = changetype<usize>(leaf);
    if (changetype<usize>(leaf.next) != 0) continue;
    push(<u32>changetype<usize>(set));
    addStarts(set.parts, set.count);
  }
  const setsEnd = stackTop;
  takeStarts();
  program.startCount = <u32>((stackTop - setsEnd) >> 2);
  program.starts = keep(setsEnd);
  const size = <usize>program.startCount << 2;
  program.letters = allocateZero(size);
  program.ascii = allocateZero(128 << 2);
  program.singles = allocateZero(size);
  let to = at;
  for (let i = at; i < setsEnd; i += 4) {
    const set = changetype<Node>(load<u32>(i));
    const from = load<u32>(set.parts);
    if (set.count == 2 && load<u32>(set.parts, 4) == from)
      store<u32>(program.singles + (<usize>indexOf(from) << 2), load<u32>(i));
    else {
      store<u32>(to, load<u32>(i));
      to += 4;
    }
  }
  popTo(to);
  program.setCount = <u32>((to - at) >> 2);
  program.sets = keep(at);
}

/** Which letter a character is. */
function indexOf(code: u32): u32 {
  const starts = program.starts;
  let low: u32 = 0;
  let high = program.startCount;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (load<u32>(starts + (<usize>middle << 2)) <= code) low = middle;
    else high = middle;
  }
  return low;
}

function letterOf(code: u32): Letter {
  const known = code < 128 ? load<u32>(program.ascii + (<usize>code << 2)) : 0;
  return known != 0 ? changetype<Letter>(known) : findLetter(code);
}

function findLetter(code: u32): Letter {
  const i = <usize>indexOf(code) << 2;
  let letter = changetype<Letter>(load<u32>(program.letters + i));
  if (changetype<usize>(letter) == 0) {
    letter = makeLetter(<u32>(i >> 2));
    store<u32>(program.letters + i, <u32>changetype<usize>(letter));
  }
  if (code < 128) store<u32>(program.ascii + (<usize>code << 2), <u32>changetype<usize>(letter));
  return letter;
}

function makeLetter(i: u32): Letter {
  const letter = newLetter();
  const code = load<u32>(program.starts + (<usize>i << 2));
  const bits = letter.bits;
  memory.fill(bits, 0, <usize>program.clusters.count << 2);
  memory.fill(letter.next, 0, <usize>program.stateCapacity << 1);
  letter.kind = code == 10 ? IS_NEWLINE : isWord(code) ? IS_WORD : 0;
  const single = load<u32>(program.singles + (<usize>i << 2));
  if (single != 0) addLeaves(changetype<Node>(single), bits);
  const sets = program.sets;
  for (let at = sets, end = sets + (<usize>program.setCount << 2); at < end; at += 4) {
    const set = changetype<Node>(load<u32>(at));
    // Many have a single pair.
    const isIn =
      set.count == 2
        ? code - load<u32>(set.parts) <= load<u32>(set.parts, 4) - load<u32>(set.parts)
        : contains(set.parts, set.count, code);
    if (isIn) addLeaves(set, bits);
  }
  return letter;
}

function addLeaves(set: Node, bits: usize): void {
  let leaf = changetype<Leaf>(set.leaves);
  for (; changetype<usize>(leaf) != 0; leaf = leaf.next) {
    const at = bits + (<usize>leaf.cluster << 2);
    store<u32>(at, load<u32>(at) | leaf.bit);
  }
}

/** Memory for a letter, if need be that of the others, which are forgotten then. */
function newLetter(): Letter {
  let letter = program.unused;
  if (changetype<usize>(letter) == 0) {
    const size = <usize>program.clusters.count << 2;
    const nextSize = <usize>program.stateCapacity << 1;
    const bytes = offsetof<Letter>() + size + nextSize;
    if (program.letterBytes + bytes <= LETTERS_MAX || changetype<usize>(program.newest) == 0) {
      program.letterBytes += bytes;
      letter = changetype<Letter>(allocate(offsetof<Letter>()));
      letter.bits = allocate(size);
      letter.next = allocate(nextSize);
      letter.older = program.newest;
      program.newest = letter;
      return letter;
    }
    memory.fill(program.letters, 0, <usize>program.startCount << 2);
    memory.fill(program.ascii, 0, 128 << 2);
    letter = program.newest;
    program.newest = changetype<Letter>(0);
  }
  program.unused = letter.older;
  letter.older = program.newest;
  program.newest = letter;
  return letter;
}

/**
 * Holds a piece of a text, `length` units in the input, against the program: `MORE` while the text may still match and is
 * not over.
 */
export function feed(at: usize, length: u32, isFirst: bool, isLast: bool): u32 {
  program = changetype<Program>(at);
  if (changetype<usize>(program.clusters) == 0) build();
  if (isFirst) {
    state = START_STATE;
    isStart = true;
    position = 0;
    moves = program.clusters.count * MOVES_TO_MAKE;
    if (changetype<usize>(program.counters) != 0) restartCounters(program.counters);
  }
  if (changetype<usize>(program.counters) != 0) return count(length, isLast);
  const ascii = program.ascii;
  const end = INPUT_AT + (<usize>length << 1);
  let now = state;
  for (let at = INPUT_AT; at < end; at += 2) {
    let code: u32 = load<u16>(at);
    let letter = changetype<Letter>(0);
    if (code < 128) letter = changetype<Letter>(load<u32>(ascii + (<usize>code << 2)));
    else if ((code & 0xfc00) == 0xd800) {
      at += 2;
      code = 0x10000 + ((code & 0x3ff) << 10) + (load<u16>(at) & 0x3ff);
    }
    if (changetype<usize>(letter) == 0) letter = findLetter(code);
    let next: u32 = load<u16>(letter.next + (<usize>now << 1));
    if (next == UNKNOWN_STATE) {
      next = findState(now, letter);
      if (moves > MOVES_MAX) return TOO_MUCH;
    }
    if (next == DEAD_STATE) return NO;
    now = next;
  }
  state = now;
  return isLast ? verdict() : MORE;
}

function verdict(): u32 {
  const known = program.verdicts + state;
  if (load<u8>(known) == 0) {
    isStart = state == START_STATE;
    memory.copy(WORDS_AT, wordsOf(state), program.stateSize);
    store<u8>(known, endsHere() ? 2 : 1);
  }
  return load<u8>(known) == 2 ? YES : NO;
}

/** The state after one and a letter. */
function findState(from: u32, letter: Letter): u32 {
  memory.copy(WORDS_AT, wordsOf(from), program.stateSize);
  isStart = from == START_STATE;
  const next = letter.next + (<usize>from << 1);
  if (!stepBy(letter)) {
    store<u16>(next, DEAD_STATE);
    return DEAD_STATE;
  }
  const hash = mixKind(hashed(), load<u32>(WORDS_AT + program.stateSize - 4));
  let found = lookUp(hash);
  if (found == 0) {
    if (program.stateCount == program.stateCapacity) {
      if (program.stateCapacity < program.stateMax) growStates(program.stateMax);
      else restart();
      return addState(hash);
    }
    found = addState(hash);
  }
  store<u16>(next, found);
  return found;
}

function mixKind(hash: u32, kind: u32): u32 {
  const mixed = (hash ^ kind) * 0x9e3779b1;
  return mixed ^ (mixed >> 15);
}

function wordsOf(each: u32): usize {
  return program.words + <usize>each * program.stateSize;
}

/** The state whose words are those that the last step found, or 0. Its place in the table is that of `addState`. */
let knownAt: usize = 0;

function lookUp(hash: u32): u32 {
  let i = hash;
  let found: u32;
  do {
    knownAt = program.known + (<usize>(i++ & program.knownMask) << 1);
    found = load<u16>(knownAt);
  } while (found != 0 && !isState(found, hash));
  return found;
}

function isState(each: u32, hash: u32): bool {
  return (
    load<u32>(program.hashes + (<usize>each << 2)) == hash &&
    memory.compare(wordsOf(each), WORDS_AT, program.stateSize) == 0
  );
}

function addState(hash: u32): u32 {
  const added = program.stateCount++;
  // The table may have been cleared since.
  lookUp(hash);
  store<u16>(knownAt, added);
  store<u32>(program.hashes + (<usize>added << 2), hash);
  memory.copy(wordsOf(added), WORDS_AT, program.stateSize);
  return added;
}

/** Moves the words on by a letter; whether there is any place then. */
function stepBy(letter: Letter): bool {
  const kindAt = WORDS_AT + program.stateSize - 4;
  const tables = tablesFor(isStart ? NO_LETTER : load<u32>(kindAt), letter.kind);
  const isAlive = step(program.clusters, tables.rows, letter.bits, isStart);
  moves += program.clusters.count;
  store<u32>(kindAt, program.assertions == 0 ? 0 : letter.kind);
  return isAlive;
}

/** Whether a text may end where the words are. */
function endsHere(): bool {
  const kind = load<u32>(WORDS_AT + program.stateSize - 4);
  const tables = tablesFor(isStart ? NO_LETTER : kind, NO_LETTER);
  return isStart ? tables.isNullable : ends(program.clusters, tables.rows);
}

/** The tables for a place between letters of two kinds. */
function tablesFor(before: u32, after: u32): Tables {
  const holding = program.assertions == 0 ? 0 : program.assertions & holdingBetween(before, after);
  const at = program.variants + (<usize>holding << 2);
  let tables = changetype<Tables>(load<u32>(at));
  if (changetype<usize>(tables) == 0) {
    tables = makeTables(program.clusters, holding);
    store<u32>(at, <u32>changetype<usize>(tables));
  }
  return tables;
}

/** The bits of the assertions that hold between letters of two kinds. */
function holdingBetween(before: u32, after: u32): u32 {
  let holding: u32 = 0;
  if (before == NO_LETTER) holding |= 1 << TEXT_START;
  if (after == NO_LETTER) holding |= 1 << TEXT_END;
  if (before == NO_LETTER || before == IS_NEWLINE) holding |= 1 << LINE_START;
  if (after == NO_LETTER || after == IS_NEWLINE) holding |= 1 << LINE_END;
  const isBoundary = (before == IS_WORD) != (after == IS_WORD);
  return holding | (1 << (isBoundary ? WORD_BOUNDARY : NO_WORD_BOUNDARY));
}

/** Counters have too many states for an automaton: each character is a step. */
function count(length: u32, isLast: bool): u32 {
  const words = wordsOf(START_STATE);
  if (isStart) memory.fill(WORDS_AT, 0, program.stateSize);
  else memory.copy(WORDS_AT, words, program.stateSize);
  for (let i: u32 = 0; i < length; i++) {
    let code: u32 = load<u16>(INPUT_AT + (<usize>i << 1));
    if ((code & 0xfc00) == 0xd800)
      code = 0x10000 + ((code & 0x3ff) << 10) + (load<u16>(INPUT_AT + (<usize>++i << 1)) & 0x3ff);
    const letter = letterOf(code);
    const isAlive = stepBy(letter);
    const isCounting = countStep(program.counters, letter.bits, position++);
    if (!isAlive && !isCounting) return NO;
    if (program.counters.counted > COUNT_MAX || moves > MOVES_MAX) return TOO_MUCH;
    isStart = false;
  }
  if (isLast) return endsHere() ? YES : NO;
  memory.copy(words, WORDS_AT, program.stateSize);
  return MORE;
}
