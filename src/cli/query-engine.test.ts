import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../promql/engine.ts";
import { WorkerEngine } from "../promql/worker-engine.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import { MemorySource } from "../../bench/promql/memory-source.ts";
import { Labels } from "../model/labels.ts";
import { FEATURE_FLAGS } from "./feature-flags.ts";
import { defaultsOf, type FlagValues } from "./flags.ts";
import { createQueryEngine, engineOptions, threadCount } from "./query-engine.ts";
import { EVALUATION_FLAGS } from "./query-flags.ts";

test("threads evaluate where there are cores for them, or as many as wanted", () => {
  const f = (wanted: number | "auto", cores: number, want: number): void =>
    assert.equal(threadCount(wanted, cores), want, `${wanted} on ${cores}`);
  f("auto", 1, 0);
  f("auto", 2, 0);
  f("auto", 3, 2);
  f("auto", 64, 8);
  f(0, 64, 0);
  f(1, 64, 0);
  f(2, 1, 2);
  f(12, 4, 12);
});

test("either way queries are answered until the engine is stopped", async () => {
  for (const [threads, kind] of [
    [1, Engine],
    [2, WorkerEngine],
  ] as const) {
    const { engine, service } = createQueryEngine(threads, {});
    assert.ok(engine instanceof kind);
    const { value } = await engine.instant(new MemoryQueryable([]), { query: "1 + 1", timeMs: 0 });
    assert.deepEqual(value, { kind: "scalar", timeMs: 0, value: 2 });
    await service.stop();
  }
});

test("what a query may use is what its flags say, and a refusal names the flag", async () => {
  const source = new MemorySource();
  for (const i of ["0", "1", "2"])
    source.add(
      Labels.fromObject({ __name__: "x", i }),
      Float64Array.of(0, 1000),
      Float64Array.of(1, 2),
    );
  const relabelled = 'label_replace(x, "j", "$1$1$1", "i", "(.*)")';
  const refused: readonly (readonly [
    flags: Partial<FlagValues<typeof EVALUATION_FLAGS>>,
    message: RegExp,
    query?: string,
  ])[] = [
    [
      { maxSamples: 2 },
      /too many samples into memory .*: 3 so far, the limit is 2 \(--query\.max-samples\)/,
    ],
    [{ maxQuerySeries: 2 }, /too many series .*: 3 so far, the limit is 2 \(--query\.max-series\)/],
    [
      { maxQueryChunkBytes: 5 },
      /too many bytes of chunks .*: \d+ so far, the limit is 5 \(--query\.max-chunk-bytes\)/,
    ],
    [
      { maxLabelBytes: 8 },
      /too many bytes of labels .*: 12 so far, the limit is 8 \(--query\.max-label-bytes\)/,
      relabelled,
    ],
    [
      { maxLabelValueBytes: 2 },
      /a label value too long .*: 3 bytes, the limit is 2 \(--query\.max-label-value-bytes\)/,
      relabelled,
    ],
  ];
  for (const threads of [1, 2])
    for (const [flags, message, text = "x"] of refused) {
      const options = engineOptions({
        ...defaultsOf({ ...EVALUATION_FLAGS, ...FEATURE_FLAGS }),
        ...flags,
      });
      const { engine, service } = createQueryEngine(threads, options);
      const query = { query: text, timeMs: 1000 };
      await assert.rejects(engine.instant(source, query), { code: "execution", message });
      await service.stop();
    }
});
