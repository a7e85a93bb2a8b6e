import { PerformanceObserver } from "node:perf_hooks";
import { getHeapStatistics, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Clock } from "../base/clock.ts";
import type { Service } from "../base/service.ts";

/** How often to look at the heap, ms. */
export const LOOK_INTERVAL_MS = 5_000;
/** A heap that changes by more between two looks is at work, and collects itself. */
export const CALM_BYTES = 8 << 20;
/** So is one that V8 collects more often: what fills the nursery again and again may happen to be as much as the last time. */
export const CALM_COLLECTIONS = 1;
/** Garbage worth collecting: so much, and so great a part of what the last collection left. */
export const GARBAGE_MIN_BYTES = 12 << 20;
const GARBAGE_MIN_PART = 0.5;

export interface HeapTrimOptions {
  readonly clock: Clock;
  /**
   * Collect a heap that never becomes calm too, at most this often, ms: for a process that may pause for as long as that
   * takes. Default: never.
   */
  readonly busyEveryMs?: number;
  /** Bytes of the heap in use. Default: this process's. */
  readonly usedBytes?: () => number;
  /** How often V8 has collected garbage of any age. Default: of this process. */
  readonly collectionCount?: () => number;
  /** Collects everything that is collectable. Default: this process's heap. */
  readonly collect?: () => void;
}

/**
 * Gives back what a wave of new series leaves behind. Samples live outside the JavaScript heap, so a shard that has its
 * series allocates next to nothing, and V8, which collects when something is allocated, would keep the garbage of their
 * making for hours: tens of MB. This looks now and then, and when the heap is calm but far larger than it was after the
 * last look's collection, it collects once, which takes about 1 ms for each MB that stays.
 */
export class HeapTrim implements Service {
  readonly name = "heap trim";
  readonly #clock: Clock;
  readonly #busyEveryMs: number;
  readonly #usedBytes: () => number;
  readonly #collectionCount: () => number;
  readonly #collect: () => void;
  readonly #observer: PerformanceObserver;
  #observed = 0;
  #lastCollections = 0;
  #cancel: () => void = () => {};
  #lastBytes = Infinity;
  #keptBytes = 0;
  #collectedMs: number;

  constructor(options: HeapTrimOptions) {
    this.#clock = options.clock;
    this.#busyEveryMs = options.busyEveryMs ?? Infinity;
    this.#collectedMs = options.clock.monotonic();
    this.#observer = new PerformanceObserver((list) => {
      this.#observed += list.getEntries().length;
    });
    this.#collectionCount = options.collectionCount ?? (() => this.#observed);
    this.#usedBytes = options.usedBytes ?? (() => getHeapStatistics().used_heap_size);
    this.#collect = options.collect ?? collectHeap;
  }

  async start(): Promise<void> {
    this.#observer.observe({ entryTypes: ["gc"] });
    this.#arm();
  }

  async stop(): Promise<void> {
    this.#observer.disconnect();
    this.#cancel();
  }

  #arm(): void {
    this.#cancel = this.#clock.after(LOOK_INTERVAL_MS, () => {
      this.#look();
      this.#arm();
    });
  }

  #look(): void {
    const used = this.#usedBytes();
    const nowMs = this.#clock.monotonic();
    const collections = this.#collectionCount();
    const isCalm =
      (Math.abs(used - this.#lastBytes) < CALM_BYTES &&
        collections - this.#lastCollections <= CALM_COLLECTIONS) ||
      nowMs - this.#collectedMs >= this.#busyEveryMs;
    this.#lastBytes = used;
    this.#lastCollections = collections;
    const garbage = used - this.#keptBytes;
    if (!isCalm || garbage < Math.max(GARBAGE_MIN_BYTES, this.#keptBytes * GARBAGE_MIN_PART))
      return;
    this.#collect();
    this.#collectedMs = nowMs;
    this.#keptBytes = this.#lastBytes = this.#usedBytes();
  }
}

function collectHeap(): void {
  // The collector's function is a V8 flag away, and only contexts made afterwards have it.
  setFlagsFromString("--expose-gc");
  const collect: unknown = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  // The ordinary flavour keeps the pages it frees for itself.
  if (typeof collect === "function")
    Reflect.apply(collect, undefined, [
      { type: "major", execution: "sync", flavor: "last-resort" },
    ]);
}
