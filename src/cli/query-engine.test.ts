import assert from "node:assert/strict";
import { test } from "node:test";
import { Engine } from "../promql/engine.ts";
import { WorkerEngine } from "../promql/worker-engine.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import { createQueryEngine, threadCount } from "./query-engine.ts";

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
