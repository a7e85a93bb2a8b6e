/** What the tests of a head share. */
import assert from "node:assert/strict";
import type { Clock } from "../../base/clock.ts";
import { decodeXor, xorSampleCount } from "../../chunk/xor.ts";
import { Labels } from "../../model/labels.ts";
import type { Matcher } from "../../model/matcher.ts";
import type { AppendColumns } from "../../storage/appender.ts";
import type { Queryable, SelectRequest, Series } from "../../storage/queryable.ts";

/** A clock that stands still until told; its timers never fire. */
export function stoppedClock(nowMs: number): Clock & { nowMs: number } {
  return {
    nowMs,
    now() {
      return this.nowMs;
    },
    monotonic: () => 0,
    after: () => () => {},
    sleep: () => Promise.resolve(),
  };
}

/** Columns of (ref, time, value) rows. */
export function columns(
  rows: readonly (readonly [ref: number, t: number, v: number])[],
): AppendColumns {
  return {
    refs: Int32Array.from(rows, (row) => row[0]),
    times: Float64Array.from(rows, (row) => row[1]),
    values: Float64Array.from(rows, (row) => row[2]),
    count: rows.length,
  };
}

export function labels(text: Record<string, string>): Labels {
  return Labels.fromObject(text);
}

export async function read(
  head: Queryable,
  matchers: readonly Matcher[],
  request: Partial<SelectRequest> = {},
): Promise<Series[]> {
  const all: Series[] = [];
  for await (const batch of head.select({
    matchers,
    minTimeMs: -Infinity,
    maxTimeMs: Infinity,
    ...request,
  }))
    all.push(...batch.series);
  return all;
}

export function samples(series: Series): [number, number][] {
  const rows: [number, number][] = [];
  for (const chunk of series.chunks) {
    const count = xorSampleCount(chunk.data);
    const into = { times: new Float64Array(count), values: new Float64Array(count), offset: 0 };
    decodeXor(chunk.data, into);
    assert.equal(chunk.minTimeMs, into.times[0]);
    assert.equal(chunk.maxTimeMs, into.times[count - 1]);
    for (let i = 0; i < count; i++) rows.push([into.times[i]!, into.values[i]!]);
  }
  return rows;
}
