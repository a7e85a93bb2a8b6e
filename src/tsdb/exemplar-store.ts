import type { Exemplar } from "../model/exemplar.ts";
import { compareLabels, type Labels } from "../model/labels.ts";
import type { ExemplarRequest, SeriesExemplars } from "../storage/exemplars.ts";

/** How long the labels of an exemplar may be together, in characters. */
export const EXEMPLAR_LABELS_MAX_LENGTH = 128;

export type ExemplarOutcome = "appended" | "repeated" | "out-of-order" | "too-long";

/** Whose time an exemplar has: its own, that of the scrape that found it, or either, since the log does not say. */
export type ExemplarTime = "own" | "scrape" | "logged";

/** The exemplars of one series, oldest first; those before `first` have been overwritten. */
interface Entry {
  readonly labels: Labels;
  readonly exemplars: Exemplar[];
  first: number;
  newestTime: ExemplarTime;
}

/**
 * The newest exemplars of all series, at most `limit` of them: each one more takes the place of the oldest.
 *
 *     ring    │ a │ b │ a │ c │ … │      whose exemplar stands where; `next` is overwritten next
 *     entries   a → [ex, ex]  b → [ex]   since both are in order of arrival, what is overwritten is its series' first
 */
export class ExemplarStore {
  #ring: (Entry | undefined)[];
  #next = 0;
  #count = 0;
  readonly #entries = new Map<string, Entry>();

  constructor(limit: number) {
    this.#ring = Array.from({ length: limit }, () => undefined);
  }

  get count(): number {
    return this.#count;
  }

  get seriesCount(): number {
    return this.#entries.size;
  }

  get limit(): number {
    return this.#ring.length;
  }

  /** Keeps the newest ones that fit. */
  set limit(limit: number) {
    if (limit === this.#ring.length) return;
    const old = this.#ring;
    const inOrder = [...old.slice(this.#next), ...old.slice(0, this.#next)].filter(
      (entry) => entry !== undefined,
    );
    const gone = inOrder.splice(0, Math.max(0, inOrder.length - limit));
    for (const entry of gone) this.#dropFirst(entry);
    this.#ring = Array.from({ length: limit }, (_, i) => inOrder[i]);
    this.#next = limit === 0 ? 0 : inOrder.length % limit;
  }

  /** What `add` would say, without adding. */
  check(labels: Labels, exemplar: Exemplar, time: ExemplarTime = "own"): ExemplarOutcome {
    let length = 0;
    for (const [name, value] of exemplar.labels) length += characters(name) + characters(value);
    if (length > EXEMPLAR_LABELS_MAX_LENGTH) return "too-long";
    const entry = this.#entries.get(labels.key());
    const newest = entry?.exemplars.at(-1);
    if (newest === undefined) return "appended";
    const difference =
      exemplar.value - newest.value || compareLabels(exemplar.labels, newest.labels);
    // A target that gives no times shows the same one at each scrape.
    if (difference === 0 && time === "scrape" && entry!.newestTime !== "own") return "repeated";
    const order = exemplar.timeMs - newest.timeMs || difference;
    if (order === 0) return "repeated";
    return order < 0 ? "out-of-order" : "appended";
  }

  /** Adds an exemplar of the series with `labels`. */
  add(labels: Labels, exemplar: Exemplar, time: ExemplarTime = "own"): ExemplarOutcome {
    if (this.limit === 0) return "repeated";
    const outcome = this.check(labels, exemplar, time);
    if (outcome !== "appended") return outcome;
    const overwritten = this.#ring[this.#next];
    if (overwritten !== undefined) this.#dropFirst(overwritten);
    const key = labels.key();
    let entry = this.#entries.get(key);
    if (entry === undefined)
      this.#entries.set(key, (entry = { labels, exemplars: [], first: 0, newestTime: time }));
    entry.newestTime = time;
    entry.exemplars.push(exemplar);
    this.#ring[this.#next] = entry;
    this.#next = (this.#next + 1) % this.#ring.length;
    this.#count++;
    return "appended";
  }

  /** The exemplars in a time range of series for which all matchers of one of the sets hold, by labels. */
  select({ matcherSets, minTimeMs, maxTimeMs }: ExemplarRequest): SeriesExemplars[] {
    const found: SeriesExemplars[] = [];
    for (const { labels, exemplars, first } of this.#entries.values()) {
      if (exemplars[first]!.timeMs > maxTimeMs || exemplars.at(-1)!.timeMs < minTimeMs) continue;
      if (!matcherSets.some((set) => set.every((one) => one.matches(labels.get(one.name)))))
        continue;
      const inRange = exemplars.filter(
        ({ timeMs }, i) => i >= first && timeMs >= minTimeMs && timeMs <= maxTimeMs,
      );
      if (inRange.length > 0) found.push({ labels, exemplars: inRange });
    }
    return found.sort((a, b) => compareLabels(a.labels, b.labels));
  }

  #dropFirst(entry: Entry): void {
    entry.first++;
    this.#count--;
    if (entry.first === entry.exemplars.length) this.#entries.delete(entry.labels.key());
    else if (entry.first * 2 > entry.exemplars.length) {
      entry.exemplars.splice(0, entry.first);
      entry.first = 0;
    }
  }
}

function characters(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
