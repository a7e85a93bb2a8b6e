import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { sampleMemory } from "../../chunk/sample-memory.ts";
import { Labels } from "../../model/labels.ts";
import type { Row, WindowGeometry } from "../operators/row.ts";
import { extrapolatedRate, type RateKind } from "./rate.ts";

interface Columns {
  times: number[];
  values: number[];
}

/** One window at a time, every addition in Prometheus's order: slow, and the definition. */
function rateOfWindow(
  { times, values }: Columns,
  window: { endMs: number; rangeMs: number },
  kind: RateKind,
): number | undefined {
  const { endMs, rangeMs } = window;
  const startMs = endMs - rangeMs;
  const inside = times.map((t, i) => ({ t, v: values[i]! }));
  const samples = inside.filter(({ t }) => t > startMs && t <= endMs);
  if (samples.length < 2) return undefined;
  const first = samples[0]!;
  const last = samples.at(-1)!;
  let result = last.v - first.v;
  if (kind.isCounter)
    for (let i = 1; i < samples.length; i++)
      if (samples[i]!.v < samples[i - 1]!.v) result += samples[i - 1]!.v;
  let toStart = (first.t - startMs) / 1000;
  let toEnd = (endMs - last.t) / 1000;
  const sampled = (last.t - first.t) / 1000;
  const average = sampled / (samples.length - 1);
  const threshold = average * 1.1;
  if (toStart >= threshold) toStart = average / 2;
  if (kind.isCounter && result > 0 && first.v >= 0) {
    const toZero = sampled * (first.v / result);
    if (toZero < toStart) toStart = toZero;
  }
  if (toEnd >= threshold) toEnd = average / 2;
  let factor = (sampled + toStart + toEnd) / sampled;
  if (kind.isRate) factor /= rangeMs / 1000;
  return result * factor;
}

/** As a selector gives them: in columns of the kernels' memory. */
function lent({ times, values }: Columns): { times: Float64Array; values: Float64Array } {
  const memory = sampleMemory();
  memory.times.set(times);
  memory.values.set(values);
  return memory;
}

function check(columns: Columns, geometry: WindowGeometry, kind: RateKind): void {
  const { times, values } = columns;
  checkColumns(columns, { geometry, kind }, lent(columns));
  const own = { times: Float64Array.from(times), values: Float64Array.from(values) };
  checkColumns(columns, { geometry, kind }, own);
}

function checkColumns(
  columns: Columns,
  { geometry, kind }: { geometry: WindowGeometry; kind: RateKind },
  held: { times: Float64Array; values: Float64Array },
): void {
  const row: Row = {
    labels: Labels.EMPTY,
    dropName: false,
    values: new Float64Array(geometry.count),
    // What the row before has left must not shine through.
    present: new Uint8Array(geometry.count).fill(1),
  };
  const series = {
    labels: Labels.EMPTY,
    dropName: false,
    times: held.times,
    values: held.values,
    count: columns.times.length,
  };
  const isAny = extrapolatedRate(series, geometry, kind, row);
  for (let k = 0; k < geometry.count; k++) {
    const endMs = geometry.firstEndMs + k * geometry.stepMs;
    const expected = rateOfWindow(columns, { endMs, rangeMs: geometry.rangeMs }, kind);
    const actual = row.present[k] === 1 ? row.values[k]! : undefined;
    assert.ok(Object.is(actual, expected), `step ${k}: ${actual}, expected ${expected}`);
  }
  assert.equal(isAny, row.present.includes(1));
}

function geometryOf(options: {
  firstEndMs: number;
  stepMs: number;
  count: number;
  rangeMs: number;
}): WindowGeometry {
  return {
    ...options,
    evaluationStartMs: options.firstEndMs,
    evaluationStepMs: options.stepMs,
    lookbackMs: 300_000,
    anchored: false,
    smoothed: false,
  };
}

const value = fc.oneof(
  { weight: 8, arbitrary: fc.nat(50) },
  { weight: 4, arbitrary: fc.nat(2 ** 31 - 1) },
  { weight: 1, arbitrary: fc.double({ min: 0, max: 100, noNaN: true }) },
  { weight: 1, arbitrary: fc.constantFrom(0, -0, -1, 1e-210, 2 ** 52, 2 ** 53, 1e300, 5e-324) },
  { weight: 1, arbitrary: fc.constantFrom(NaN, Infinity, -Infinity) },
);
const wholeValue = fc.oneof(fc.nat(20), fc.nat(1000));

test("every window equals the definition to the last bit", () => {
  fc.assert(
    fc.property(
      fc.record({
        values: fc.oneof(
          fc.array(wholeValue, { minLength: 1, maxLength: 60 }),
          fc.array(value, { minLength: 1, maxLength: 60 }),
          // A counter that starts far above zero and has few resets.
          fc
            .array(fc.nat(9), { minLength: 1, maxLength: 60 })
            .map((growth) => growth.map((_, i) => 1000 + growth.slice(0, i).length * 7)),
        ),
        // 0: exactly regular; else up to so many ms late.
        jitterMs: fc.constantFrom(0, 0, 0, 1, 40),
        intervalMs: fc.constantFrom(15, 1000, 15_000),
        missing: fc.option(fc.nat(59), { nil: -1 }),
        phaseMs: fc.nat(20_000),
        startStep: fc.integer({ min: -12, max: 40 }),
        stride: fc.constantFrom(0, 0.3, 1, 1, 2, 5, 2.5),
        rangeIntervals: fc.constantFrom(1, 1.5, 2, 4, 4.2, 20, 100),
        count: fc.integer({ min: 1, max: 50 }),
        isCounter: fc.boolean(),
        isRate: fc.boolean(),
        seed: fc.nat(),
      }),
      (input) => {
        const { intervalMs } = input;
        const times: number[] = [];
        const values: number[] = [];
        for (const [i, v] of input.values.entries()) {
          if (i === input.missing) continue;
          const late = input.jitterMs === 0 ? 0 : (i * 7919 + input.seed) % (input.jitterMs + 1);
          times.push(1_700_000_000_000 + i * intervalMs + Math.min(late, intervalMs - 1));
          values.push(v);
        }
        const geometry = geometryOf({
          firstEndMs:
            1_700_000_000_000 + input.startStep * intervalMs + (input.phaseMs % (2 * intervalMs)),
          stepMs: Math.ceil(input.stride * intervalMs),
          count: input.count,
          rangeMs: Math.ceil(input.rangeIntervals * intervalMs),
        });
        check({ times, values }, geometry, { isCounter: input.isCounter, isRate: input.isRate });
      },
    ),
    { numRuns: 3000 },
  );
});

test("resets too large to be summed up exactly are added one by one", () => {
  const times = Array.from({ length: 12 }, (_, i) => i * 15_000);
  const big = 2 ** 52 + 1;
  const values = times.map((_, i) => (i % 2 === 0 ? big + i : i));
  const geometry = geometryOf({ firstEndMs: 60_000, stepMs: 15_000, count: 8, rangeMs: 90_000 });
  check({ times, values }, geometry, { isCounter: true, isRate: true });
  check({ times, values: values.map((v) => v + 0.1) }, geometry, {
    isCounter: true,
    isRate: false,
  });
});
