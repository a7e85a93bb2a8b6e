import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { BlockMeta } from "./meta.ts";
import {
  compactionRanges,
  formatPlan,
  planCompaction,
  planRetention,
  splitByRange,
} from "./plan.ts";

const RANGES = [20, 60, 180];

/** A block of `name`, [min, max) and what else its meta says. */
function block(
  name: string,
  minTime: number,
  maxTime: number,
  rest: { stats?: BlockMeta["stats"]; failed?: boolean; hints?: string[] } = {},
): BlockMeta {
  const { stats = {}, ...compaction } = rest;
  return {
    ulid: name,
    minTime,
    maxTime,
    stats,
    compaction: { level: 1, sources: [name], ...compaction },
    version: 1,
  };
}

/** `20-40 40-60 …` as blocks named by their place. */
function blocks(text: string): BlockMeta[] {
  return text.split(" ").map((part, i) => {
    const [, min, max] = /^(-?\d+)-(-?\d+)$/.exec(part)!;
    return block(String(i), Number(min), Number(max));
  });
}

describe("planCompaction", () => {
  const f = (text: string, want: string): void => {
    const plan = planCompaction(blocks(text), RANGES);
    assert.equal(
      plan === undefined ? "" : `${plan.reason} ${plan.blocks.map(({ ulid }) => ulid).join()}`,
      want,
      text,
    );
  };

  test("merges adjacent blocks that fill a range, the smallest range first", () => {
    f("0-20", "");
    f("0-20 20-40 40-60", "");
    f("0-20 20-40 40-60 60-80", "range 0,1,2");
    f("0-60 60-120 120-180 180-200", "range 0,1,2");
    f("0-60 60-80 80-100 100-120 120-140", "range 1,2,3");
    f("0-60 60-120 120-140 140-160 160-180", "");
    f("-60--40 -40--20 -20-0 0-20", "range 0,1,2");
  });

  test("merges what is older than the newest block even when there are gaps", () => {
    f("0-20 40-60 60-80 80-100", "range 0,1");
    f("0-20 120-140 140-160", "");
    f("0-20 20-40 60-80 80-100", "range 0,1");
    f("0-60 120-180 180-200 200-220", "range 0,1");
  });

  test("leaves out blocks that cross a range", () => {
    f("0-20 20-40 40-70 80-100 100-120 120-140", "range 0,1");
  });

  test("merges overlapping blocks before all else", () => {
    f("0-20 10-30", "overlap 0,1");
    f("0-20 20-40 40-60 60-80 70-90", "overlap 3,4");
    f("0-60 10-20 30-40 60-80", "overlap 0,1,2");
    f("0-20 19-40 40-60 50-70", "overlap 0,1");
  });

  test("writes blocks with many deletions anew", () => {
    const stats = { numTombstones: 10, numSeries: 100 };
    const list = [block("a", 0, 180, { stats }), block("b", 180, 200)];
    assert.equal(planCompaction(list, RANGES)?.reason, "tombstones");
    assert.equal(
      planCompaction(
        [block("a", 0, 180, { stats: { numTombstones: 4, numSeries: 100 } }), list[1]!],
        RANGES,
      ),
      undefined,
    );
    // A short block only when every series was hit.
    assert.equal(
      planCompaction([block("a", 0, 20, { stats }), block("b", 20, 40)], RANGES),
      undefined,
    );
    const all = { numTombstones: 100, numSeries: 100 };
    assert.equal(
      planCompaction([block("a", 0, 20, { stats: all }), block("b", 20, 40)], RANGES)?.reason,
      "tombstones",
    );
  });

  test("skips blocks whose merge failed and blocks apart", () => {
    const failed = [block("a", 0, 20, { failed: true }), block("b", 10, 30), block("c", 30, 40)];
    assert.equal(planCompaction(failed, RANGES), undefined);
    const apart = [block("a", 0, 20, { hints: ["from-stale-series"] }), block("b", 10, 30)];
    assert.equal(planCompaction(apart, RANGES), undefined);
    assert.equal(planCompaction([], RANGES), undefined);
  });

  test("repeated until nothing is left ends with few blocks of the largest range", () => {
    let list: BlockMeta[] = [];
    const lines: string[] = [];
    for (let i = 0; i < 40; i++) {
      list.push(block(`b${i}`, i * 20, i * 20 + 20));
      for (;;) {
        const plan = planCompaction(list, RANGES);
        if (plan === undefined) break;
        lines.push(formatPlan(plan));
        const gone = new Set(plan.blocks);
        list = list.filter((one) => !gone.has(one));
        list.push(block(`m${lines.length}`, plan.blocks[0]!.minTime, plan.blocks.at(-1)!.maxTime));
      }
    }
    assert.deepEqual(
      list.sort((a, b) => a.minTime - b.minTime).map(({ minTime, maxTime }) => maxTime - minTime),
      [180, 180, 180, 180, 60, 20],
    );
    assert.equal(lines[0], "range: b0[0,20) + b1[20,40) + b2[40,60)");
  });
});

test("ranges triple up to the longest block", () => {
  const hour = 3_600_000;
  assert.deepEqual(
    compactionRanges(2 * hour, 36 * hour).map((ms) => ms / hour),
    [2, 6, 18],
  );
  assert.deepEqual(compactionRanges(2 * hour, 0), [2 * hour]);
  assert.equal(compactionRanges(1, 1e15).length, 10);
  assert.deepEqual(
    splitByRange(blocks("0-20 20-40 60-80"), 60).map((group) => group.length),
    [2, 1],
  );
});

test("retention drops by time, then the oldest by size", () => {
  const list = blocks("0-20 20-40 40-60 60-80").map((meta) => ({ meta, size: 10 }));
  const f = (limits: [number, number, number], want: string): void => {
    const [retentionMs, retentionBytes, otherBytes] = limits;
    const steps = planRetention(list, { retentionMs, retentionBytes, otherBytes });
    assert.equal(steps.map(({ block: { ulid }, reason }) => `${ulid}:${reason}`).join(" "), want);
  };
  f([0, 0, 99], "");
  f([40, 0, 99], "1:time 0:time");
  f([41, 0, 0], "0:time");
  f([0, 25, 0], "1:size 0:size");
  f([0, 40, 0], "");
  f([0, 40, 5], "0:size");
  f([60, 25, 0], "1:size 0:time");
  f([0, 1, 0], "3:size 2:size 1:size 0:size");
});
