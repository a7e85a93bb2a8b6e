import type { KubeObject } from "../kubernetes/resources.ts";
import type { StatefulSet } from "./statefulset-driver-set.ts";

/**
 * What is known of a removed shard's data, written on its volume claims before it is removed: so it outlives coordinators
 * and goes with the claim. It says of which StatefulSet in which generation the shard is no part any more. A claim that was
 * in use since then has newer samples than the mark knows of, so the mark counts only where the whole way from that
 * generation to the present one was seen (`SetHistory`).
 */
export interface RemovalMark {
  readonly setUid: string;
  readonly generation: number;
  /** `ShardRuntime.dataUntilMs`, as the empty shard said last. */
  readonly dataUntilMs: number;
}

/** On a claim: JSON, `{"set":"<uid>","generation":7,"dataUntil":"2026-01-02T03:04:05.678Z"}`. */
const REMOVED_ANNOTATION = "shoal/removed";

/**
 * Whether nothing is lost with a volume: the one place that weighs evidence. An empty shard's `dataUntilMs` is when the last
 * of what it alone has is uploaded or expires.
 */
export function isDataSafe(dataUntilMs: number | undefined, nowMs: number): boolean {
  return dataUntilMs !== undefined && dataUntilMs < nowMs;
}

/** A merge patch's annotations; without a mark, one that is there is taken off. */
export function markAnnotations(mark: RemovalMark | undefined): Record<string, string | null> {
  if (mark === undefined) return { [REMOVED_ANNOTATION]: null };
  const dataUntil = new Date(mark.dataUntilMs).toISOString();
  const { setUid: set, generation } = mark;
  return { [REMOVED_ANNOTATION]: JSON.stringify({ set, generation, dataUntil }) };
}

/** Undefined without a mark, and for one that cannot be read. */
export function readMark({ metadata }: KubeObject): RemovalMark | undefined {
  const text = metadata.annotations?.[REMOVED_ANNOTATION];
  if (text === undefined) return undefined;
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { set, generation, dataUntil } = parsed as Readonly<Record<string, unknown>>;
  const dataUntilMs = typeof dataUntil === "string" ? Date.parse(dataUntil) : NaN;
  if (typeof set !== "string" || typeof generation !== "number" || Number.isNaN(dataUntilMs))
    return undefined;
  return { setUid: set, generation, dataUntilMs };
}

/** Generations of a StatefulSet that are remembered; marks are carried on to the newest one every minute. */
const HISTORY_MAX = 100;

/** How many shards each generation of a StatefulSet asked for, without a gap. */
export class SetHistory {
  readonly #entries: { readonly generation: number; readonly replicas: number }[] = [];

  add({ generation, replicas }: StatefulSet): void {
    const last = this.#entries.at(-1)?.generation;
    if (last === generation) return;
    if (last !== undefined && generation !== last + 1) this.#entries.length = 0;
    this.#entries.push({ generation, replicas });
    if (this.#entries.length > HISTORY_MAX) this.#entries.shift();
  }

  clear(): void {
    this.#entries.length = 0;
  }

  /** Whether `generation` and every later one are known not to have asked for the shard with this ordinal. */
  isGoneSince(ordinal: number, generation: number): boolean {
    const since = this.#entries.filter((entry) => entry.generation >= generation);
    return (
      since[0]?.generation === generation && since.every(({ replicas }) => replicas <= ordinal)
    );
  }
}
