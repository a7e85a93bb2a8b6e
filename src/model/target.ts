import type { Labels } from "./labels.ts";

/** What discovery yields: targets with common labels, replaced as a whole by the next group of the same `source`. */
export interface TargetGroup {
  /** Identifies the group within its mechanism (a file and index, a URL, a DNS name). */
  readonly source: string;
  readonly labels: Readonly<Record<string, string>>;
  /** One label set per target; holds at least `__address__`. */
  readonly targets: readonly Readonly<Record<string, string>>[];
}

/** A target after relabelling: one thing to scrape. */
export interface Target {
  /**
   * Identity: FNV-1a-64 over the zero-padded decimal xxh64 of all final labels (those starting with `__` included) and
   * the URL, as decimal text, because it exceeds 2^53. The same as Prometheus's own target hash, except that labels which
   * the operator calls volatile (`--target.ignore-labels`) take no part: then equal hashes may come with other labels.
   */
  readonly hash: string;
  /** The scrape job, which is also the name of the scrape pool. */
  readonly job: string;
  /** Final labels including those starting with `__`. */
  readonly allLabels: Labels;
  /** Final labels put on every series: without those starting with `__`. */
  readonly labels: Labels;
  /** Labels before relabelling. */
  readonly discoveredLabels: Labels;
  /** The full URL with query. */
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Why every scrape of it fails and nobody asks it: its job has more targets than its `target_limit`, over all shards. */
  readonly refusal?: string;
}

/** `target` with this refusal. */
export function refuseTarget(target: Target, refusal: string): Target {
  // By name: some of a target's fields are getters, which a spread leaves behind.
  const { hash, job, allLabels, labels, discoveredLabels, url, intervalMs, timeoutMs } = target;
  return { hash, job, allLabels, labels, discoveredLabels, url, intervalMs, timeoutMs, refusal };
}

/** Whether a scrape of `a` and one of `b` ask the same URL, or are refused alike, and label what they find alike. */
export function isSameScrape(a: Target, b: Target): boolean {
  return a === b || (a.url === b.url && a.refusal === b.refusal && a.allLabels.equals(b.allLabels));
}

/** A target that relabelling dropped. */
export interface DroppedTarget {
  readonly job: string;
  readonly discoveredLabels: Labels;
}

export type TargetHealth = "up" | "down" | "unknown";
