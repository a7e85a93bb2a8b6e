import { compareText } from "../base/text.ts";
import { compareLabels, type Labels } from "../model/labels.ts";
import { dedupChunks, type DedupOptions, joinShards } from "./dedup.ts";
import { mergeSelect, type MergeOptions } from "./merge.ts";
import type { Chunk, Series, SeriesBatch } from "./queryable.ts";
import { relabelSeries } from "./relabel-series.ts";

/** A series without the labels that tell replicas apart, and what they said. */
export interface ReplicaSeries extends Series {
  readonly replica: string;
}

/** Between the values of several replica labels; no label value holds it, because it is not valid UTF-8 on its own. */
const SEPARATOR = "\u{DC00}";

/** What tells replicas apart: the values of the replica labels. */
export function replicaKey(names: readonly string[], valueOf: (name: string) => string): string {
  return names.map(valueOf).join(SEPARATOR);
}

/** The replica's name for people. */
export function replicaName(key: string): string {
  return key
    .split(SEPARATOR)
    .filter((value) => value !== "")
    .join("/");
}

/** All series of `batches` are of one replica, and have no replica labels any more. */
export async function* ofReplica(
  batches: AsyncIterable<SeriesBatch>,
  replica: string,
): AsyncGenerator<SeriesBatch> {
  for await (const batch of batches)
    yield {
      ...batch,
      series: batch.series.map(({ labels, chunks }): ReplicaSeries => ({
        labels,
        chunks,
        replica,
      })),
    };
}

/**
 * Takes the replica labels out of the series of `batches`; what they said becomes the series' replica. `fixed` has the
 * values of those that are gone already. Series that become equal follow one another.
 */
export function byReplicaLabels(
  batches: AsyncIterable<SeriesBatch>,
  options: { names: readonly string[]; fixed?: Labels },
): AsyncIterable<SeriesBatch> {
  const { names, fixed } = options;
  const gone = new Set(names);
  return relabelSeries<ReplicaSeries>(batches, {
    names,
    change: ({ labels, chunks }) => ({
      labels: names.some((name) => labels.has(name)) ? labels.without(gone) : labels,
      chunks,
      replica: replicaKey(names, (name) => labels.get(name) || (fixed?.get(name) ?? "")),
    }),
    sort: (series) => series.sort((a, b) => compareLabels(a.labels, b.labels)),
  });
}

/** Merges sources of `ReplicaSeries`: of each series one, made of what its replicas have. */
export function dedupSelect(
  sources: readonly AsyncIterable<SeriesBatch>[],
  options: DedupOptions & Omit<MergeOptions, "join">,
): AsyncIterable<SeriesBatch> {
  return mergeSelect(sources, { ...options, join: (equal) => joinReplicas(equal, options) });
}

/** Replicas in the order of their names, so that the choice between them is the same in every query. */
function joinReplicas(equal: readonly Series[], options: DedupOptions): readonly Chunk[] {
  const byName = new Map<string, (readonly Chunk[])[]>();
  for (const series of equal) {
    const name = isReplicaSeries(series) ? series.replica : "";
    const lists = byName.get(name);
    if (lists === undefined) byName.set(name, [series.chunks]);
    else lists.push(series.chunks);
  }
  const names = [...byName.keys()].sort(compareText);
  return dedupChunks(
    names.map((name) => joinShards(byName.get(name)!)),
    options,
  );
}

function isReplicaSeries(series: Series): series is ReplicaSeries {
  return "replica" in series;
}
