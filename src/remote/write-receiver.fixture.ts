import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { AppError } from "../base/errors.ts";
import { formatSeries, type Labels } from "../model/labels.ts";
import {
  type Appendable,
  type AppendBatch,
  type AppendResult,
  NOTHING_APPENDED,
  type Refusal,
} from "../storage/appender.ts";
import { WriteReceiver } from "./write-receiver.ts";
import type { RequestSeries } from "./write-request.fixture.ts";

export const NOW = 1_700_000_000_000;

/** A storage that takes what it has a ref for, and can forget all refs. */
export class FakeStorage implements Appendable {
  readonly stored: string[] = [];
  resolved = 0;
  full = false;
  readonly batches: AppendBatch[] = [];
  #labels = new Map<number, Labels>();

  forget(): void {
    this.#labels.clear();
  }

  resolve(labels: Labels): number {
    if (this.full) throw new AppError("resource-exhausted", "the limit of series is reached");
    this.#labels.set(++this.resolved, labels);
    return this.resolved;
  }

  async append(batch: AppendBatch): Promise<AppendResult> {
    this.batches.push(batch);
    const refused: Refusal[] = [];
    const good: string[] = [];
    for (let index = 0; index < batch.count; index++) {
      const labels = this.#labels.get(batch.refs[index]!);
      if (labels === undefined) refused.push({ part: "float", index, reason: "unknown-ref" });
      else {
        const value = batch.zeros?.floats.includes(index) === true ? "zero" : batch.values[index]!;
        good.push(`${formatSeries(labels)} ${value}@${batch.times[index]! - NOW}`);
      }
    }
    if (batch.isWhole !== true || refused.length === 0) this.stored.push(...good);
    return {
      ...NOTHING_APPENDED,
      appended: batch.isWhole === true && refused.length > 0 ? 0 : good.length,
      unknownRef: refused.length,
      refused,
    };
  }
}

export function receiverOf(
  storage: Appendable,
  options: { maxSeries?: number; takesCreated?: boolean } = {},
): WriteReceiver {
  return new WriteReceiver({
    appendable: storage,
    clock: { ...systemClock, now: () => NOW },
    logger: silentLogger,
    registry: new Registry(),
    ...options,
  });
}

export const series = (name: string, ...samples: [number, number][]): RequestSeries => ({
  labels: [
    ["__name__", name],
    ["job", "j"],
  ],
  samples: samples.map(([t, v]) => [NOW + t, v]),
});
