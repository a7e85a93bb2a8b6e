import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Coverage, type CoverageFigures } from "./coverage.ts";
import { simTarget } from "./testdata/sim-targets.ts";

/** Scraped every 10 ms here: the numbers stay readable. */
const TARGET = simTarget("a", {}, 10);
const { hash } = TARGET.target;

function coverage(): Coverage {
  return new Coverage({
    maxWaitMs: 100,
    maxOverlapMs: () => 25,
    maxLossGapMs: () => 40,
  });
}

const at = (shard: string, offsetMs: number) => ({ shard, rhythm: { intervalMs: 10, offsetMs } });

test("one owner from the beginning to the end: no gap, no overlap, one wait", () => {
  const watched = coverage();
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 20);
  const { gaps, lossGaps, overlaps, waitsMs, lost, unownedAtEnd } = watched.finish(500);
  assert.deepEqual([gaps.intervals, lossGaps.intervals, overlaps.intervals], [0, 0, 0]);
  assert.deepEqual(waitsMs, [23]);
  assert.deepEqual([lost, unownedAtEnd], [0, 0]);
});

test("a move whose new owner scrapes before the old one lets go: overlap, but no gap", () => {
  const watched = coverage();
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 0);
  // s0 at 33, 43, 53; s1 at 38, 48, 58: 3 + 2 scrapes in [30, 55), 2 of them too many.
  watched.join(hash, at("s1", 8), 30);
  watched.leave(hash, { shard: "s0", isLost: false }, 55);
  const { gaps, overlaps } = watched.finish(200);
  assert.equal(gaps.intervals, 0);
  assert.deepEqual({ ...overlaps }, { intervals: 2, count: 1, longestMs: 25, tooLong: 0 });
});

test("an overlap longer than is allowed is doubled, and says where", () => {
  const watched = coverage();
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 0);
  watched.join(hash, at("s1", 8), 30);
  watched.leave(hash, { shard: "s0", isLost: false }, 56);
  const { overlaps, findings } = watched.finish(200);
  assert.equal(overlaps.tooLong, 1);
  assert.deepEqual(findings, [
    { kind: "doubled", hash, url: TARGET.target.url, shard: "s1", fromMs: 30, durationMs: 26 },
  ]);
});

test("a move whose old owner lets go too early: a gap that no loss explains", () => {
  const watched = coverage();
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 0);
  // The last scrape is at 33; the next one at 68: 43, 53 and 63 are missed.
  watched.leave(hash, { shard: "s0", isLost: false }, 40);
  watched.join(hash, at("s1", 8), 60);
  const { gaps, lossGaps, findings } = watched.finish(200);
  assert.deepEqual([gaps.intervals, gaps.count, gaps.longestMs], [3, 1, 35]);
  assert.equal(lossGaps.intervals, 0);
  assert.equal(findings[0]?.kind, "gap");
});

test("a lost shard: its gap counts apart, and is too long only beyond what is allowed", () => {
  for (const [backMs, missed, tooLong] of [
    [70, 3, 0],
    [80, 4, 1],
  ] as const) {
    const watched = coverage();
    watched.list(TARGET, 0);
    watched.join(hash, at("s0", 3), 0);
    watched.leave(hash, { shard: "s0", isLost: true }, 40);
    watched.join(hash, at("s0", 3), backMs);
    const { gaps, lossGaps } = watched.finish(200);
    assert.equal(gaps.intervals, 0);
    assert.deepEqual([lossGaps.intervals, lossGaps.tooLong], [missed, tooLong]);
  }
});

test("time in which no shard ran at all is nobody's gap", () => {
  const watched = coverage();
  watched.shardsRunning(true, 0);
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 0);
  watched.leave(hash, { shard: "s0", isLost: true }, 40);
  watched.shardsRunning(false, 40);
  watched.shardsRunning(true, 140);
  watched.join(hash, at("s0", 3), 140);
  const { lossGaps } = watched.finish(200);
  assert.equal(lossGaps.intervals, 0);
});

test("on no running shard for too long: lost, once, whenever that was", () => {
  const watched = coverage();
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 101);
  watched.leave(hash, { shard: "s0", isLost: false }, 200);
  const { lost, unownedAtEnd, findings } = watched.finish(400);
  assert.deepEqual([lost, unownedAtEnd], [1, 1]);
  assert.deepEqual(findings.map(({ kind, durationMs }) => [kind, durationMs])[0], ["lost", 101]);
});

test("what happens after a target's end, and to one that never answers, is no gap", () => {
  const watched = coverage();
  watched.list(TARGET, 0);
  watched.join(hash, at("s0", 3), 0);
  watched.end(hash, 50);
  watched.leave(hash, { shard: "s0", isLost: false }, 90);
  const down = simTarget("down", { isDown: true }, 10);
  watched.list(down, 0);
  watched.join(down.target.hash, at("s0", 3), 0);
  watched.leave(down.target.hash, { shard: "s0", isLost: false }, 40);
  watched.join(down.target.hash, at("s0", 3), 80);
  const { gaps, waitsMs, lost } = watched.finish(300);
  assert.deepEqual([gaps.intervals, waitsMs.length, lost], [0, 1, 0]);
});

/** A shard that joins, or leaves when it is there. */
const HISTORY = fc.array(
  fc.record({ shard: fc.nat(2), afterMs: fc.nat(40), isLost: fc.boolean() }),
  { maxLength: 20 },
);

test("the closed form finds what a walk over every millisecond finds", () => {
  fc.assert(
    fc.property(
      HISTORY,
      fc.array(fc.nat(9), { minLength: 3, maxLength: 3 }),
      (history, offsets) => {
        const watched = coverage();
        watched.list(TARGET, 0);
        const walk = new Walk();
        let nowMs = 0;
        const active = new Set<number>();
        for (const { shard, afterMs, isLost } of history) {
          walk.pass(
            nowMs,
            nowMs + afterMs,
            [...active].map((each) => offsets[each]!),
          );
          nowMs += afterMs;
          if (active.delete(shard)) {
            watched.leave(hash, { shard: `s${shard}`, isLost }, nowMs);
            if (isLost) walk.lostMs = nowMs;
          } else {
            active.add(shard);
            watched.join(hash, at(`s${shard}`, offsets[shard]!), nowMs);
          }
        }
        walk.pass(
          nowMs,
          nowMs + 50,
          [...active].map((each) => offsets[each]!),
        );
        assert.deepEqual(figuresOf(watched.finish(nowMs + 50)), walk.finish(nowMs + 50));
      },
    ),
  );
});

function figuresOf({ gaps, lossGaps, overlaps }: CoverageFigures): number[] {
  return [gaps.intervals, lossGaps.intervals, overlaps.intervals];
}

/** The same accounts, kept by looking at every millisecond. */
class Walk {
  lostMs = -1;
  #lastMs: number | undefined;
  #gaps = 0;
  #lossGaps = 0;
  #overlaps = 0;

  pass(fromMs: number, toMs: number, offsets: readonly number[]): void {
    const counts = offsets.map(() => 0);
    for (let t = fromMs; t < toMs; t++) {
      let isScraped = false;
      for (const [i, offset] of offsets.entries())
        if (t % 10 === offset) {
          counts[i]!++;
          isScraped = true;
        }
      if (isScraped) this.#scrape(t);
    }
    const total = counts.reduce((sum, count) => sum + count, 0);
    this.#overlaps += total - Math.max(0, ...counts);
  }

  finish(endMs: number): number[] {
    if (this.#lastMs !== undefined) this.#scrape(endMs);
    return [this.#gaps, this.#lossGaps, this.#overlaps];
  }

  #scrape(t: number): void {
    if (this.#lastMs !== undefined) {
      const missed = Math.ceil((t - this.#lastMs) / 10) - 1;
      if (this.lostMs >= this.#lastMs) this.#lossGaps += Math.max(0, missed);
      else this.#gaps += Math.max(0, missed);
    }
    this.#lastMs = t;
  }
}
