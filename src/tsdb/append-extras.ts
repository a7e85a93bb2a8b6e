import type { Labels } from "../model/labels.ts";
import type { AppendBatch, AppendExemplar, AppendMetadata } from "../storage/appender.ts";
import type { AppendTally } from "./append-tally.ts";
import { EXEMPLAR_LABELS_MAX_LENGTH, type ExemplarTime } from "./exemplar-store.ts";
import type { HeadStore } from "./head-store.ts";

/** What a batch has beside samples, as far as it is news. */
export interface AppendExtras {
  readonly exemplars: readonly AppendExemplar[];
  readonly metadata: readonly AppendMetadata[];
}

export const NO_EXTRAS: AppendExtras = { exemplars: [], metadata: [] };

interface Parts {
  readonly store: HeadStore;
  readonly labelsOf: (ref: number) => Labels;
}

/** What of a batch's exemplars and metadata is to be logged; refusals are counted. */
export function pickExtras(batch: AppendBatch, parts: Parts, tally: AppendTally): AppendExtras {
  if (batch.exemplars === undefined && batch.metadata === undefined) return NO_EXTRAS;
  const { store } = parts;
  const exemplars = (batch.exemplars ?? []).filter((one, index) => {
    const { ref, exemplar } = one;
    if (store.exemplars.limit === 0) return false;
    if (!store.series.has(ref)) tally.refuseExemplar("unknown-ref", index);
    else if (!Number.isSafeInteger(exemplar.timeMs)) tally.refuseExemplar("out-of-bounds", index);
    else {
      const outcome = store.exemplars.check(parts.labelsOf(ref), exemplar, timeOf(one));
      if (outcome === "appended") return true;
      if (outcome === "too-long") tally.refuseExemplar("invalid", index, TOO_LONG);
      else if (outcome === "out-of-order") tally.refuseExemplar("out-of-order", index);
      else tally.result.appendedExemplars++;
    }
    return false;
  });
  const metadata = (batch.metadata ?? []).filter(({ ref, metadata: now }) => {
    const known = store.metadata.get(ref);
    const isKnown = known?.type === now.type && known.help === now.help && known.unit === now.unit;
    return store.series.has(ref) && !isKnown;
  });
  return { exemplars, metadata };
}

const TOO_LONG = `label length for exemplar exceeds maximum of ${EXEMPLAR_LABELS_MAX_LENGTH} UTF-8 characters`;

function timeOf({ isScrapeTime }: AppendExemplar): ExemplarTime {
  return isScrapeTime === true ? "scrape" : "own";
}

/** Makes seen what has been logged. */
export function applyExtras(extras: AppendExtras, parts: Parts, tally: AppendTally): void {
  const { store } = parts;
  for (const one of extras.exemplars) {
    const { ref, exemplar } = one;
    // Judged again: within a batch they may be out of order.
    const outcome = store.exemplars.add(parts.labelsOf(ref), exemplar, timeOf(one));
    if (outcome === "out-of-order") tally.result.refusedExemplars++;
    else tally.result.appendedExemplars++;
  }
  for (const { ref, metadata } of extras.metadata)
    if (store.series.has(ref)) store.metadata.set(ref, metadata);
}
