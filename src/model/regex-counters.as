// How many characters of its set each counter has seen, for every place in the text where it was entered. Such places only
// wait in a queue: the first one has the highest count and leaves when that is above the most. Places next to each other are
// one run. So a counter changes only when it begins or ceases to be entered, when its first run has seen enough or has left,
// and when a character is not of its set; between that nothing is done for it.

import { Clusters, ENDLESS, Leaf, leafOf } from "./regex-clusters";
import { allocate, allocateZero, ENTERED_AT, keep, push, stackTop, WORDS_AT } from "./regex-memory";

/** Most changes of counters for a text. */
export const COUNT_MAX: u32 = 1_000_000;
/** No place in a text. */
const NEVER: u32 = 0xffffffff;

/** The counters of one cluster, by their bits. */
@unmanaged
class Group {
  /** Where the word of the cluster is, in bytes. */
  at: usize;
  mask: u32;
  /** Those that the last character entered, those that have a run, and those that may end. */
  entered: u32;
  live: u32;
  ready: u32;
  /** Before which place in the text nothing happens by itself. */
  due: u32;
  /** Counters by the number of their bit. */
  counters: usize;
}

@unmanaged
class Counter {
  min: u32;
  max: u32;
  /** First and last place of each run; the last is `NEVER` while it goes on. In use are those from `head` to `tail`, in bytes. */
  runs: usize;
  head: usize;
  tail: usize;
  size: usize;
  /** When its first run has seen enough, then when it leaves. */
  due: u32;
}

@unmanaged
export class Counters {
  groups: usize;
  groupCount: u32;
  /** How much has happened to them since the start of the text. */
  counted: u32;
}

/** The counters of all leaves that count, or 0. */
export function makeCounters(clusters: Clusters): Counters {
  // Leaves of one cluster come one after the other, but for those of clusters within.
  const at = stackTop;
  const byCluster = allocateZero(<usize>clusters.count << 2);
  for (let i: u32 = 0; i < clusters.leafCount; i++) {
    const leaf = leafOf(clusters, i);
    if (leaf.max == 1) continue;
    const place = byCluster + (<usize>leaf.cluster << 2);
    let group = changetype<Group>(load<u32>(place));
    if (changetype<usize>(group) == 0) {
      group = changetype<Group>(allocateZero(offsetof<Group>()));
      group.at = <usize>leaf.cluster << 2;
      group.counters = allocateZero(32 << 2);
      store<u32>(place, <u32>changetype<usize>(group));
      push(<u32>changetype<usize>(group));
    }
    group.mask |= leaf.bit;
    const counter = changetype<Counter>(allocateZero(offsetof<Counter>()));
    counter.min = leaf.min;
    counter.max = leaf.max;
    store<u32>(group.counters + (<usize>ctz(leaf.bit) << 2), <u32>changetype<usize>(counter));
  }
  const groupCount = <u32>((stackTop - at) >> 2);
  if (groupCount == 0) return changetype<Counters>(0);
  const counters = changetype<Counters>(allocate(offsetof<Counters>()));
  counters.groupCount = groupCount;
  counters.groups = keep(at);
  return counters;
}

function groupOf(counters: Counters, i: u32): Group {
  return changetype<Group>(load<u32>(counters.groups + (<usize>i << 2)));
}

function counterOf(group: Group, bits: u32): Counter {
  return changetype<Counter>(load<u32>(group.counters + (<usize>ctz(bits) << 2)));
}

/** Forgets what was counted. */
export function restartCounters(counters: Counters): void {
  counters.counted = 0;
  for (let i: u32 = 0; i < counters.groupCount; i++) {
    const group = groupOf(counters, i);
    group.entered = 0;
    group.ready = 0;
    group.due = NEVER;
    group.live = 0;
    for (let bits = group.mask; bits != 0; bits &= bits - 1) empty(counterOf(group, bits));
  }
}

function empty(counter: Counter): void {
  counter.head = 0;
  counter.tail = 0;
  counter.due = NEVER;
}

/**
 * Takes the letter with `letterBits` at `position` of the text after the clusters did, and sets the bits of the counters that
 * may end behind it in their words; whether any counts.
 */
export function countStep(counters: Counters, letterBits: usize, position: u32): bool {
  let live: u32 = 0;
  for (let i: u32 = 0; i < counters.groupCount; i++) {
    const group = groupOf(counters, i);
    const at = group.at;
    const matching = load<u32>(letterBits + at);
    const entered = load<u32>(ENTERED_AT + at) & group.mask & matching;
    const dying = group.live & ~matching;
    if (dying != 0 || entered != group.entered || position >= group.due)
      counters.counted += change(group, dying, entered, position);
    live |= group.live;
    const word = WORDS_AT + at;
    store<u32>(word, (load<u32>(word) & ~group.mask) | group.ready);
  }
  return live != 0;
}

/** Does what there is to be done for a group; for how many counters. */
function change(group: Group, dying: u32, entered: u32, position: u32): u32 {
  let changed: u32 = 0;
  for (let bits = dying; bits != 0; bits &= bits - 1) {
    empty(counterOf(group, bits));
    changed++;
  }
  const live = group.live & ~dying;
  const before = group.entered & ~dying;
  const starting = entered & ~before;
  const ceasing = before & ~entered;
  group.entered = entered;
  group.live = live | starting;
  group.ready &= ~dying;
  for (let bits = starting; bits != 0; bits &= bits - 1) startRun(counterOf(group, bits), position);
  for (let bits = ceasing; bits != 0; bits &= bits - 1) ceaseRun(counterOf(group, bits), position);
  const touched = starting | ceasing;
  let due = NEVER;
  for (let bits = group.live; bits != 0; bits &= bits - 1) {
    const bit = bits & -bits;
    const counter = counterOf(group, bits);
    if ((touched & bit) != 0 || position >= counter.due) {
      changed++;
      const isReady = moveOn(counter, position);
      if (isReady) group.ready |= bit;
      else group.ready &= ~bit;
      if (counter.head == counter.tail) group.live &= ~bit;
    }
    due = min(due, counter.due);
  }
  group.due = due;
  return changed;
}

function startRun(counter: Counter, position: u32): void {
  // Where there is no most, the first place stays the first.
  if (counter.max == ENDLESS && counter.head != counter.tail) return;
  if (counter.tail == counter.size) makeRoom(counter);
  store<u32>(counter.runs + counter.tail, position);
  store<u32>(counter.runs + counter.tail, NEVER, 4);
  counter.tail += 8;
}

function ceaseRun(counter: Counter, position: u32): void {
  if (counter.head == counter.tail) return;
  const last = counter.runs + counter.tail - 8;
  if (load<u32>(last, 4) == NEVER) store<u32>(last, position - 1, 4);
}

function makeRoom(counter: Counter): void {
  const size = counter.tail - counter.head;
  let runs = counter.runs;
  if (size << 1 > counter.size || counter.size == 0) {
    counter.size = max(32, counter.size << 1);
    runs = allocate(counter.size);
  }
  memory.copy(runs, counter.runs + counter.head, size);
  counter.runs = runs;
  counter.head = 0;
  counter.tail = size;
}

/** Lets runs leave that have to at `position`, and says when that is to be asked again; whether the counter may end. */
function moveOn(counter: Counter, position: u32): bool {
  for (; counter.head < counter.tail; counter.head += 8) {
    const run = counter.runs + counter.head;
    const last = load<u32>(run, 4);
    if (last != NEVER && position >= last + counter.max) continue;
    const enough = load<u32>(run) + counter.min - 1;
    const isReady = position >= enough;
    counter.due = !isReady ? enough : last == NEVER ? NEVER : last + counter.max;
    return isReady;
  }
  counter.due = NEVER;
  return false;
}
