// Where things lie in the memory of the machine for regular expressions (regex-machine.as says what it does).

/** What the host writes: a pattern, a piece of a text, or the members of a class. */
export const INPUT_AT: usize = 64 << 10;
export const INPUT_BYTES: usize = 128 << 10;
/** What is found by its hash: the nodes of the pattern that is read, and the shapes of clusters. */
export const BUCKETS_AT: usize = INPUT_AT + INPUT_BYTES;
export const BUCKETS_MAX: u32 = 1 << 16;
export const SHAPES_AT: usize = BUCKETS_AT + (<usize>BUCKETS_MAX << 2);
export const SHAPES_MAX: u32 = 1 << 10;
/** Words that a step works on, and those of where it entered. */
export const WORDS_AT: usize = SHAPES_AT + (<usize>SHAPES_MAX << 2);
const WORDS_BYTES: usize = 64 << 10;
export const ENTERED_AT: usize = WORDS_AT + WORDS_BYTES;
/** Most clusters of a pattern. */
export const CLUSTERS_MAX: u32 = <u32>(WORDS_BYTES >> 2);
/** The items of the parser. */
export const ITEMS_AT: usize = ENTERED_AT + WORDS_BYTES;
const ITEMS_BYTES: usize = 4 << 20;
/** A bit for each character, and before them one for each 64 of these; all zero between calls. */
export const CODES_AT: usize = ITEMS_AT + ITEMS_BYTES;
export const CODES_SUMMARY_BYTES: usize = 4 << 10;
export const CODES_BYTES: usize = 160 << 10;
/** Lists that are not yet as long as they will be. */
const STACK_AT: usize = CODES_AT + CODES_BYTES;
const STACK_BYTES: usize = 8 << 20;
const HEAP_AT: usize = STACK_AT + STACK_BYTES;

let free: usize = HEAP_AT;

/** Bytes that are taken until everything is forgotten. */
export function used(): usize {
  return free - HEAP_AT;
}

/** Forgets all patterns and classes. */
export function forgetAll(): void {
  free = HEAP_AT;
  stackTop = STACK_AT;
}

/** Memory that stays until everything is forgotten; what is in it is anyone's. Where there is none, the call traps. */
export function allocate(size: usize): usize {
  const at = free;
  free = at + ((size + 7) & ~7);
  if (free > <usize>memory.size() << 16) unreachable();
  return at;
}

/** The same, all zero. */
export function allocateZero(size: usize): usize {
  const at = allocate(size);
  memory.fill(at, 0, size);
  return at;
}

/** Words on top of which more are put while a list is made; who puts them there takes them away again. */
export let stackTop: usize = STACK_AT;

export function push(word: u32): void {
  if (stackTop == HEAP_AT) unreachable();
  store<u32>(stackTop, word);
  stackTop += 4;
}

/** Puts the `count` words at `words` on the stack. */
export function pushAll(words: usize, count: u32): void {
  const size = <usize>count << 2;
  if (stackTop + size > HEAP_AT) unreachable();
  memory.copy(stackTop, words, size);
  stackTop += size;
}

export function popTo(at: usize): void {
  stackTop = at;
}

/** The words above `at`, taken from the stack into memory that stays. */
export function keep(at: usize): usize {
  const size = stackTop - at;
  const list = allocate(size);
  memory.copy(list, at, size);
  stackTop = at;
  return list;
}
