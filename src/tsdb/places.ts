/** Some places of a column: tells, as a walk over the column comes by, which are among them. */
export class Places {
  readonly #places: Int32Array;
  #at = 0;
  #next: number;

  /** `places` ascend. */
  constructor(places: Int32Array = NONE) {
    this.#places = places;
    this.#next = places[0] ?? BEYOND;
  }

  /** To be asked for ascending places. */
  has(place: number): boolean {
    // Fast path: most columns have none.
    if (place < this.#next) return false;
    while (this.#next < place) this.#next = this.#places[++this.#at] ?? BEYOND;
    return this.#next === place;
  }
}

const NONE = new Int32Array(0);
const BEYOND = 0x3fff_ffff;
