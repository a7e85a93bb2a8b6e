/**
 * Shards from the smallest of a figure to the largest, by ordinal when equal. One whose figure has changed is put in its
 * new place: a few hundred shards shift faster than a heap sifts, and the others can be looked through in order.
 */
export class ShardOrder<T extends { readonly ordinal: number }> {
  readonly #shards: T[] = [];
  readonly #figures: number[] = [];
  readonly #figureOf: (shard: T) => number;

  constructor(shards: Iterable<T>, figureOf: (shard: T) => number) {
    this.#figureOf = figureOf;
    for (const shard of shards) this.#insert(shard);
  }

  /** The figure of `shard` has changed. Nothing happens for one that is not among them. */
  moved(shard: T): void {
    const shards = this.#shards;
    const figures = this.#figures;
    let place = shards.indexOf(shard);
    if (place < 0) return;
    const figure = this.#figureOf(shard);
    while (place + 1 < shards.length && this.#isBefore(place + 1, figure, shard)) {
      shards[place] = shards[place + 1]!;
      figures[place] = figures[++place]!;
    }
    while (place > 0 && !this.#isBefore(place - 1, figure, shard)) {
      shards[place] = shards[place - 1]!;
      figures[place] = figures[--place]!;
    }
    shards[place] = shard;
    figures[place] = figure;
  }

  remove(shard: T): boolean {
    const index = this.#shards.indexOf(shard);
    if (index < 0) return false;
    this.#shards.splice(index, 1);
    this.#figures.splice(index, 1);
    return true;
  }

  /** Must not be changed, and is only valid until a shard moves. */
  get ascending(): readonly T[] {
    return this.#shards;
  }

  #insert(shard: T): void {
    const figure = this.#figureOf(shard);
    let low = 0;
    let high = this.#shards.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#isBefore(middle, figure, shard)) low = middle + 1;
      else high = middle;
    }
    this.#shards.splice(low, 0, shard);
    this.#figures.splice(low, 0, figure);
  }

  /** Whether the one at `place` comes before `shard`, which has `figure`. */
  #isBefore(place: number, figure: number, shard: T): boolean {
    const other = this.#figures[place]!;
    return other < figure || (other === figure && this.#shards[place]!.ordinal < shard.ordinal);
  }
}
