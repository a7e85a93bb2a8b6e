import { AppError } from "../base/errors.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import { addToHashes } from "../model/series-hash.ts";
import type { GroupedBatch, GroupedRequest } from "../storage/grouped.ts";
import type { Queryable, SelectRequest, SeriesBatch } from "../storage/queryable.ts";
import { relabelSeries } from "../storage/relabel-series.ts";
import {
  areFree,
  changeLabels,
  type LabelChanges,
  matchExternalLabels,
} from "./external-labels.ts";

/**
 * The series as the query sees them: with external labels, without those that tell replicas apart. Series that become equal by
 * that stay two, so that they are found.
 */
export function labelled(queryable: Queryable, change: LabelChanges): Queryable {
  const { external } = change;
  async function* select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const matchers = matchExternalLabels(request.matchers, external);
    if (matchers === undefined) return;
    if (matchers.length === 0)
      throw new AppError("bad-data", "no matchers specified (excluding external labels)");
    const selected = queryable.select({ ...request, matchers });
    const names = namesOf(change);
    if (names.length === 0) yield* selected;
    else
      yield* relabelSeries(selected, {
        names,
        keepsApart: () => areFree(names, queryable, request),
        change: ({ labels, chunks }) => ({ labels: changeLabels(labels, change), chunks }),
        sort: (series) => series.sort((a, b) => compareLabels(a.labels, b.labels)),
      });
  }
  return {
    select,
    selectGrouped: (request) => selectGrouped(queryable, change, request),
    labelNames: (request) => queryable.labelNames(request),
    labelValues: (name, request) => queryable.labelValues(name, request),
  };
}

async function* nothing(): AsyncGenerator<GroupedBatch> {}

function namesOf({ external, without }: LabelChanges): string[] {
  return [...[...external].map(([name]) => name), ...without];
}

/** In columns, if all series get and lose the same labels and stay in their order. */
function selectGrouped(
  queryable: Queryable,
  change: LabelChanges,
  request: GroupedRequest,
): AsyncIterable<GroupedBatch> | undefined {
  const matchers = matchExternalLabels(request.matchers, change.external);
  if (matchers === undefined) return nothing();
  if (matchers.length === 0) return undefined;
  const foreignNames = namesOf(change);
  const grouping = request.grouping.filter((name) => !foreignNames.includes(name));
  const batches = queryable.selectGrouped?.({ ...request, matchers, grouping, foreignNames });
  return batches && foreignNames.length > 0 ? relabelled(batches, change) : batches;
}

async function* relabelled(
  batches: AsyncIterable<GroupedBatch>,
  change: LabelChanges,
): AsyncGenerator<GroupedBatch> {
  const added = changeLabels(Labels.EMPTY, change);
  for await (const batch of batches) {
    addToHashes(batch.hashes, added);
    yield { ...batch, labelsOf: (place) => changeLabels(batch.labelsOf(place), change) };
  }
}
