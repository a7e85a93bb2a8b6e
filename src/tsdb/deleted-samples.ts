import { withoutAllDeleted } from "../block/recode.ts";
import { addInterval, type Interval } from "../block/tombstones.ts";
import type { Chunk } from "../storage/queryable.ts";

/**
 * What was deleted from a head, by series ref. The samples stay where they are until their chunks go; whoever reads
 * chunks leaves them out.
 */
export class DeletedSamples {
  readonly #intervals = new Map<number, readonly Interval[]>();

  get seriesCount(): number {
    return this.#intervals.size;
  }

  add(ref: number, interval: Interval): void {
    this.#intervals.set(ref, addInterval(this.#intervals.get(ref) ?? [], interval));
  }

  /** The deleted stretches of a series, in order; undefined when nothing of it was deleted. */
  of(ref: number): readonly Interval[] | undefined {
    return this.#intervals.get(ref);
  }

  /** The chunks of a series without what was deleted. */
  apply(ref: number, chunks: readonly Chunk[]): readonly Chunk[] {
    const intervals = this.#intervals.get(ref);
    return intervals === undefined ? chunks : withoutAllDeleted(chunks, intervals);
  }

  /** Forgets what ends before `minTimeMs`, and all of the series that `has` does not know. */
  truncateBefore(minTimeMs: number, has: (ref: number) => boolean): void {
    for (const [ref, intervals] of this.#intervals) {
      const kept = intervals.filter(({ maxTime }) => maxTime >= minTimeMs);
      if (kept.length === 0 || !has(ref)) this.#intervals.delete(ref);
      else if (kept.length < intervals.length) this.#intervals.set(ref, kept);
    }
  }
}
