import { isStaleWords } from "../../base/float.ts";
import { Labels } from "../../model/labels.ts";
import { type GroupedBatch, NotInColumnsError } from "../../storage/grouped.ts";
import type { AggregatePlan } from "../plan.ts";
import { Groups } from "./grouping.ts";
import {
  FLOAT,
  hasPoints,
  selectorKey,
  type QueryContext,
  type Row,
  type VectorOperator,
} from "./row.ts";
import { abortable, InstantRows } from "./select.ts";

type GroupedSink = (row: Row, index: number) => void;

/**
 * Gives the rows of an aggregation's operand that have points, each with the index of its group. Of a plain selector at one moment the storage gives
 * samples and groups in columns, and a row has no labels until somebody asks for them.
 */
export async function streamGroups(
  operand: VectorOperator,
  plan: AggregatePlan,
  query: QueryContext,
  sink: GroupedSink,
): Promise<Groups> {
  const groups = new Groups(plan);
  const columns = await openColumns(plan, query);
  if (columns === undefined)
    await operand.stream(query, (row) => {
      if (hasPoints(row)) sink(row, groups.indexOf(row, query));
    });
  else await streamColumns(columns, { groups, query }, sink);
  return groups;
}

interface Columns {
  readonly batches: AsyncIterable<GroupedBatch>;
  /** Makes rows of series that are more than one float. */
  readonly others: InstantRows;
}

/** Undefined where the operand has to be evaluated series by series. */
async function openColumns(
  { operand, frame, grouping, without }: AggregatePlan,
  query: QueryContext,
): Promise<Columns | undefined> {
  const { queryable, budget, trace, samples } = query;
  if (operand.kind !== "select" || frame.count !== 1 || queryable.selectGrouped === undefined)
    return undefined;
  const { selector } = operand;
  const { matchers, minTimeMs, maxTimeMs } = selector;
  if (selector.smoothed || !Number.isSafeInteger(minTimeMs)) return undefined;
  if (trace !== undefined || samples !== undefined) return undefined;
  const key = selectorKey(selector);
  if (query.repeatedSelectors.has(key) || query.readAhead?.has(key) === true) return undefined;
  budget.check();
  const { signal } = budget;
  const source = queryable.selectGrouped({
    matchers,
    minTimeMs,
    maxTimeMs,
    grouping,
    without,
    signal,
    wantsHashes: false,
    foreignNames: [],
  });
  const batches = source === undefined ? undefined : await begun(abortable(source, signal));
  if (batches === undefined) return undefined;
  return { batches, others: new InstantRows(selector, frame, { reads: "value" }) };
}

/** `batches`, the first of which is there; undefined when the storage finds only then that it has none. */
async function begun<T>(batches: AsyncGenerator<T>): Promise<AsyncIterable<T> | undefined> {
  try {
    const first = await batches.next();
    return continued(first, batches);
  } catch (error) {
    if (error instanceof NotInColumnsError) return undefined;
    throw error;
  }
}

async function* continued<T>(
  first: IteratorResult<T, undefined>,
  rest: AsyncGenerator<T>,
): AsyncGenerator<T> {
  if (first.done === true) return;
  yield first.value;
  yield* rest;
}

/** A row of one float whose labels are made when they are asked for. */
class BatchRow implements Row {
  dropName = false;
  readonly values = new Float64Array(1);
  readonly present = Uint8Array.of(FLOAT);
  readonly histograms = undefined;
  batch: GroupedBatch | undefined;
  place = 0;

  get labels(): Labels {
    return this.batch === undefined ? Labels.EMPTY : this.batch.labelsOf(this.place);
  }
}

async function streamColumns(
  { batches, others }: Columns,
  { groups, query }: { groups: Groups; query: QueryContext },
  sink: GroupedSink,
): Promise<void> {
  const own = new BatchRow();
  for await (const batch of batches) {
    count(batch, query);
    const { groups: numbers, values, chunks } = batch;
    const words = new Uint32Array(values.buffer, values.byteOffset);
    own.batch = batch;
    for (let place = 0; place < batch.count; place++) {
      const more = chunks.size > 0 ? chunks.get(place) : undefined;
      if (more !== undefined) {
        const row = others.of({ labels: batch.labelsOf(place), chunks: more }, query);
        if (row !== undefined) sink(row, groups.indexOfNumber(numbers[place]!, row));
        continue;
      }
      const value = values[place]!;
      if (value !== value && isStaleWords(words, place)) continue;
      own.place = place;
      own.values[0] = value;
      sink(own, groups.indexOfNumber(numbers[place]!, own));
    }
    if (query.budget.isDue()) await query.budget.breathe();
  }
}

function count(batch: GroupedBatch, { stats, budget, storageWarnings }: QueryContext): void {
  let bytes = batch.byteCount;
  for (const chunks of batch.chunks.values()) for (const { data } of chunks) bytes += data.length;
  if (batch.atLeast !== undefined) budget.expect(batch.atLeast);
  budget.take({ series: batch.count, bytes });
  if (batch.sampleCount > 0) budget.probe(1);
  stats.seriesRead += batch.count - batch.chunks.size;
  stats.samplesRead += batch.sampleCount;
  stats.chunksRead += batch.chunkCount;
  stats.bytesRead += batch.byteCount;
  for (const warning of batch.warnings ?? []) storageWarnings.add(warning);
}
