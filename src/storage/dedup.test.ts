import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isStaleWords, writeStale } from "../base/float.ts";
import { decodeXor } from "../chunk/xor.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { chunksOf, plainDedup, point, type Point, pointsOf } from "./dedup.fixture.ts";
import { dedupChunks, isCounterFunction, joinShards, type ReplicaChoice } from "./dedup.ts";
import {
  type Chunk,
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
} from "./queryable.ts";

const gauge = { isCounter: false } as const;

function times(list: readonly number[]): Chunk[] {
  return chunksOf(list.map((t) => point(t, t)));
}

function dedupTimes(choice: ReplicaChoice, ...replicas: (readonly number[])[]): number[] {
  return pointsOf(dedupChunks(replicas.map(times), { choice, ...gauge })).map(({ t }) => t);
}

describe("joinShards", () => {
  it("loses no scrape and shows no reset when both scraped a counter at almost the same time", () => {
    // The second shard's scrapes began a little later and read the counter a little earlier.
    const old = Array.from({ length: 10 }, (_, i) => point(1000 * i, 100 * i));
    const taken = Array.from({ length: 10 }, (_, i) => point(1000 * i + 7003, 100 * i + 698));
    const joined = pointsOf(joinShards([chunksOf(old), chunksOf(taken)]));
    assert.deepEqual(
      joined.map(({ t }) => t),
      [...old.map(({ t }) => t), 10_003, 11_003, 12_003, 13_003, 14_003, 15_003, 16_003],
    );
    assert.ok(joined.every(({ v }, i) => i === 0 || v > joined[i - 1]!.v));
  });

  it("passes on what does not overlap, and one of equal copies, as it is", () => {
    const [early, late] = [times([0, 10]), times([20, 30])];
    assert.deepEqual(joinShards([late, early]), [...early, ...late]);
    assert.equal(joinShards([early, times([0, 10])])[0], early[0]);
    assert.deepEqual(joinShards([[], early]), early);
  });

  it("goes back to a shard that has the target again", () => {
    const first = [0, 10_000, 20_000, 30_000, 80_000, 90_000, 100_000];
    const second = [30_003, 40_003, 50_003, 60_003, 70_003, 80_003];
    assert.deepEqual(
      pointsOf(joinShards([times(first), times(second)])).map(({ t }) => t),
      [0, 10_000, 20_000, 30_000, 40_003, 50_003, 60_003, 70_003, 80_003, 90_000, 100_000],
    );
  });
});

describe("dedupChunks", () => {
  it("chooses as Thanos does", () => {
    const f = (a: readonly number[], b: readonly number[], want: readonly number[]): void =>
      assert.deepEqual(dedupTimes("penalty", a, b), want);
    f(
      [10_000, 20_000, 30_000, 60_000, 70_000],
      [10_100, 20_100, 30_100, 40_100, 50_100, 60_100],
      [10_000, 20_000, 30_000, 50_100, 60_100],
    );
    f([10_000, 20_000, 40_000], [10_000, 20_000, 30_000, 40_000], [10_000, 20_000, 40_000]);
    f([10_100, 20_100, 30_100], [10_000, 20_000, 30_000], [10_000, 20_000, 30_000]);
    f([10_000], [], [10_000]);
    f([], [10_000], [10_000]);
    f([], [], []);
  });

  it("takes what the penalty passes over where that leaves a gap", () => {
    const f = (a: readonly number[], b: readonly number[], want: readonly number[]): void =>
      assert.deepEqual(dedupTimes("gapless", a, b), want);
    f(
      [10_000, 20_000, 30_000, 60_000, 70_000],
      [10_100, 20_100, 30_100, 40_100, 50_100, 60_100],
      [10_000, 20_000, 30_000, 40_100, 50_100, 60_100],
    );
    f([10_000, 20_000, 40_000], [10_000, 20_000, 30_000, 40_000], [10_000, 20_000, 30_000, 40_000]);
    // One replica ends; the other one's samples within the penalty count when one is overdue.
    f([0, 10_000, 20_000], [7_000, 17_000, 27_000], [0, 10_000, 20_000]);
    // The first replica has what the second one has, and a little later.
    f([7_000, 17_000, 27_000], [0, 10_000, 20_000], [7_000, 17_000, 27_000]);
    f(
      [27_000, 37_000, 47_000],
      [0, 10_000, 20_000, 30_000, 40_000],
      [0, 10_000, 20_000, 30_000, 40_000],
    );
    f([0, 10_000, 20_000], [4_000, 14_000, 24_000], [0, 10_000, 20_000]);
    f([0, 10_000, 20_000], [4_000, 14_000, 24_000, 34_000], [0, 10_000, 20_000, 24_000, 34_000]);
    // Both have a longer interval from here on: after the first time that is no gap.
    f(
      [0, 10_000, 20_000, 80_000, 140_000, 200_000],
      [2_000, 12_000, 22_000, 82_000, 142_000, 202_000],
      [0, 10_000, 20_000, 22_000, 82_000, 142_000, 202_000],
    );
  });

  it("keeps counters from going back at a change of replica", () => {
    const a = [
      [10_000, 8],
      [20_000, 9],
      [50_001, 10],
      [60_000, 11],
      [70_000, 12],
      [80_000, 13],
      [90_000, 14],
      [100_000, 15],
    ] as const;
    const b = [
      [10_001, 8],
      [45_001, 8.5],
      [55_001, 9.5],
      [65_001, 10.5],
    ] as const;
    const replicas = [a, b].map((list) => chunksOf(list.map(([t, v]) => point(t, v))));
    const f = (isCounter: boolean, middle: readonly number[]): void =>
      assert.deepEqual(
        pointsOf(dedupChunks(replicas, { choice: "penalty", isCounter })).map(({ t, v }) => [t, v]),
        [
          [10_000, 8],
          [20_000, 9],
          [45_001, middle[0]],
          [55_001, middle[1]],
          [65_001, middle[2]],
          [90_000, 14],
          [100_000, 15],
        ],
      );
    f(true, [9, 10, 11]);
    f(false, [8.5, 9.5, 10.5]);
  });

  it("does not hide a real reset behind a change of replica", () => {
    const a = chunksOf([point(0, 100), point(10_000, 110), point(20_000, 120)]);
    const b = chunksOf([100, 110, 120, 5, 15, 25].map((v, i) => point(i * 10_000 + 1_000, v)));
    assert.deepEqual(
      pointsOf(dedupChunks([a, b], { isCounter: true })).map(({ v }) => v),
      [100, 110, 120, 120, 5, 15, 25],
    );
  });

  it("lets go of the lift when the lifted replica is reset", () => {
    const a = chunksOf([point(0, 100), point(10_000, 110), point(20_000, 120)]);
    const b = chunksOf([90, 100, 110, 119, 129, 3, 13].map((v, i) => point(i * 10_000 + 2_000, v)));
    assert.deepEqual(
      pointsOf(dedupChunks([a, b], { choice: "penalty", isCounter: true })).map(({ v }) => v),
      [100, 110, 120, 129, 3, 13],
    );
    assert.deepEqual(
      pointsOf(dedupChunks([a, b], { choice: "gapless", isCounter: true })).map(({ v }) => v),
      [100, 110, 120, 120, 129, 139, 3, 13].toSpliced(4, 2, 129, 139),
    );
  });

  it("passes chunks that are chosen whole on as they are", () => {
    const regular = Array.from({ length: 360 }, (_, i) => i * 15_000);
    const a = times(regular);
    const b = times(regular.map((t) => t + 7_000));
    const out = dedupChunks([a, b], gauge);
    assert.deepEqual(out, a);
    assert.ok(out.every((chunk, i) => chunk.data === a[i]!.data));
    const hour = times(regular.slice(0, 150));
    const switched = dedupChunks([hour, b], gauge);
    assert.equal(switched[0]!.data, hour[0]!.data);
    assert.equal(switched.at(-1)!.data, b[2]!.data);
  });

  it("does not look at a replica that is not needed", () => {
    const regular = Array.from({ length: 360 }, (_, i) => i * 15_000);
    const broken = times(regular.map((t) => t + 7_000)).map((chunk): Chunk => ({
      ...chunk,
      data: chunk.data.subarray(0, 20),
    }));
    assert.deepEqual(dedupChunks([times(regular), broken], gauge), times(regular));
    assert.throws(() => dedupChunks([broken, times(regular)], gauge), { code: "corrupt" });
  });

  it("gives copies once, without decoding them", () => {
    const data = Uint8Array.of(0, 9, 1);
    const copies = [1, 2].map((): Chunk[] => [
      { encoding: ENCODING_XOR, minTimeMs: 0, maxTimeMs: 9, data: Uint8Array.from(data) },
    ]);
    assert.equal(dedupChunks(copies, gauge), copies[0]);
  });

  it("merges what shards of one replica have of a series before it chooses", () => {
    const moved = [
      ...times([0, 15_000, 30_000, 45_000]),
      ...times([30_003, 45_000, 60_000, 75_000, 90_000]),
    ];
    const other = times([7_000, 22_000, 37_000, 52_000, 67_000, 82_000]);
    assert.deepEqual(
      pointsOf(dedupChunks([moved, other], gauge)).map(({ t }) => t),
      [0, 15_000, 30_000, 30_003, 45_000, 60_000, 75_000, 90_000],
    );
  });

  it("keeps the bits of stale markers", () => {
    const [a, b] = [
      [0, 10_000],
      [4_000, 14_000, 24_000, 34_000, 44_000],
    ].map((list) => Float64Array.from(list));
    const chunks = [a!, b!].map((list): Chunk[] => {
      const values = list.slice();
      writeStale(values, values.length - 1);
      return [
        {
          encoding: ENCODING_XOR,
          minTimeMs: list[0]!,
          maxTimeMs: list.at(-1)!,
          data: encodeXor(list, values, { start: 0, end: list.length }),
        },
      ];
    });
    const out = dedupChunks(chunks, { isCounter: true });
    const values = new Float64Array(8);
    const last = out.at(-1)!;
    const count = decodeXor(last.data, { times: new Float64Array(8), values, offset: 0 });
    assert.ok(isStaleWords(new Uint32Array(values.buffer), count - 1));
  });

  it("never puts samples of two kinds into one chunk", () => {
    const every = (from: number, count: number, encoding: Point["encoding"]): Point[] =>
      Array.from({ length: count }, (_, i) => point(from + i * 15_000, 5 + i, encoding));
    const a = [...every(0, 3, ENCODING_HISTOGRAM), ...every(120_000, 4, ENCODING_XOR)];
    const b = [...every(2_000, 6, ENCODING_FLOAT_HISTOGRAM), ...every(92_000, 1, ENCODING_XOR)];
    const out = dedupChunks([chunksOf(a), chunksOf(b)], { isCounter: true });
    assert.deepEqual(
      out.map((chunk) => [chunk.encoding, pointsOf([chunk]).map(({ t, v }) => [t / 1000, v])]),
      [
        [ENCODING_HISTOGRAM, a.slice(0, 3).map(({ t, v }) => [t / 1000, v])],
        [ENCODING_FLOAT_HISTOGRAM, b.slice(2, 6).map(({ t, v }) => [t / 1000, v])],
        [ENCODING_XOR, [[92, 5]]],
        [ENCODING_XOR, a.slice(3).map(({ t, v }) => [t / 1000, v])],
      ],
    );
  });

  it("takes rates for counters and nothing else", () => {
    assert.deepEqual(
      ["rate", "increase", "irate", "resets", "delta", "deriv", "sum", ""].filter(
        isCounterFunction,
      ),
      ["rate", "increase", "irate", "resets"],
    );
  });

  it("gives what the plain way gives", () => {
    fc.assert(
      fc.property(
        fc.array(replica, { minLength: 2, maxLength: 4 }),
        fc.constantFrom<ReplicaChoice>("gapless", "penalty"),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        (replicas, choice, isCounter, size) => {
          const options = { choice, isCounter };
          const want = replicas
            .slice(1)
            .reduce((one, next) => plainDedup([one, next], options), replicas[0]!);
          const chunks = replicas.map((points) => chunksOf(points, size));
          assert.deepEqual(pointsOf(dedupChunks(chunks, options)), want);
        },
      ),
      { numRuns: 1000 },
    );
  });
});

/** A replica's samples: an interval that may change, jitter, missed scrapes, resets and changes of kind. */
const replica: fc.Arbitrary<Point[]> = fc
  .record({
    start: fc.nat({ max: 40_000 }),
    steps: fc.array(
      fc.record({
        gap: fc.oneof(
          { weight: 12, arbitrary: fc.constant(10_000) },
          { weight: 2, arbitrary: fc.integer({ min: 9_000, max: 11_000 }) },
          { weight: 2, arbitrary: fc.integer({ min: 1, max: 60_000 }) },
        ),
        change: fc.oneof(
          { weight: 8, arbitrary: fc.nat({ max: 10 }) },
          { weight: 1, arbitrary: fc.constant(-Infinity) },
        ),
        encoding: fc.oneof(
          { weight: 20, arbitrary: fc.constant(undefined) },
          {
            weight: 1,
            arbitrary: fc.constantFrom(ENCODING_XOR, ENCODING_HISTOGRAM, ENCODING_FLOAT_HISTOGRAM),
          },
        ),
      }),
      { minLength: 1, maxLength: 40 },
    ),
  })
  .map(({ start, steps }) => {
    const points: Point[] = [];
    let t = start;
    let v = 100;
    let kind: Point["encoding"] = ENCODING_XOR;
    for (const { gap, change, encoding } of steps) {
      v = Math.max(0, v + change);
      kind = encoding ?? kind;
      points.push(point(t, v, kind));
      t += gap;
    }
    return points;
  });
