/** What all indexes of a thread may keep together: some two million refs. */
export const KEPT_MAX_BYTES = 8 * 1024 * 1024;
/** A list of more than this part of it is not kept: it would push out too many others. */
const LARGEST_PART = 1 / 4;
/** What an entry takes beside its refs and its key. */
const ENTRY_BYTES = 256;

interface Kept {
  readonly refs: Int32Array;
  readonly size: number;
}

/**
 * The refs that a matcher has found in an index, which never changes: dashboards and rules ask the same again and again, and even
 * the series of one value take two reads of the file, each of which is more work than all else of a small query. The ones used
 * longest ago go first.
 */
export class KeptRefs {
  /** In bytes. */
  size = 0;
  readonly #maxBytes: number;
  /** By index and matcher, those used last at the end. */
  readonly #entries = new Map<string, Kept>();
  #owners = 0;

  constructor(maxBytes = KEPT_MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** A number that stands for one index here. */
  newOwner(): number {
    return this.#owners++;
  }

  /** Not to be changed. */
  get(owner: number, matcher: string): Int32Array | undefined {
    const key = keyOf(owner, matcher);
    const kept = this.#entries.get(key);
    if (kept === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, kept);
    return kept.refs;
  }

  add(owner: number, matcher: string, refs: Int32Array): void {
    const key = keyOf(owner, matcher);
    const size = ENTRY_BYTES + 2 * key.length + refs.byteLength;
    if (size > this.#maxBytes * LARGEST_PART) return;
    this.#remove(key);
    // A copy: they may lie in a larger buffer.
    this.#entries.set(key, { refs: refs.slice(), size });
    this.size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.size <= this.#maxBytes) break;
      this.#remove(oldest);
    }
  }

  /** Forgets what is kept of an index. */
  drop(owner: number): void {
    const start = keyOf(owner, "");
    for (const key of this.#entries.keys()) if (key.startsWith(start)) this.#remove(key);
  }

  #remove(key: string): void {
    this.size -= this.#entries.get(key)?.size ?? 0;
    this.#entries.delete(key);
  }
}

function keyOf(owner: number, matcher: string): string {
  return `${owner} ${matcher}`;
}
