import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { freePort } from "../base/free-port.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { Labels } from "../model/labels.ts";
import { openDatabase } from "../tsdb/database.ts";
import { openServedDatabase } from "./shard-database.ts";

test("the replay of a log is told while it runs, and the port is free after it", async () => {
  const folder = await mkdtemp(join(tmpdir(), "shard-database-test-"));
  const options = {
    folder,
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 1e12,
    walSegmentBytes: 64 * 1024,
  };
  const first = await openDatabase(options);
  const refs = Int32Array.from({ length: 1000 }, (_, i) =>
    first.resolve(Labels.fromObject({ __name__: "m", i: String(i) })),
  );
  const start = systemClock.now();
  for (let k = 0; k < 200; k++)
    await first.append({
      refs,
      times: new Float64Array(1000).fill(start + k),
      values: new Float64Array(1000).fill(k),
      count: 1000,
    });
  await first.close();
  await rm(join(folder, "chunks_head"), { recursive: true });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  let isOpen = false;
  const opening = openServedDatabase(
    { ...options, registry: new Registry() },
    `127.0.0.1:${port}`,
  ).finally(() => (isOpen = true));
  const seen: { max: number; current: number }[] = [];
  const codes = new Set<number>();
  while (!isOpen) {
    const answers = await Promise.all(
      ["/api/v1/status/walreplay", "/-/ready", "/api/v1/shard/runtimeinfo"].map((path) =>
        fetch(`${url}${path}`).catch(() => undefined),
      ),
    );
    const [replay, ...others] = answers;
    if (replay?.ok === true)
      seen.push(((await replay.json()) as { data: (typeof seen)[number] }).data);
    for (const other of others) if (other !== undefined) codes.add(other.status);
  }
  const { database, replayed } = await opening;
  assert.ok(seen.length > 0);
  assert.deepEqual([...codes], [503]);
  const { segmentCount, segmentTotal, byteCount, byteTotal } = replayed();
  assert.ok(segmentTotal > 10);
  assert.equal(segmentCount, segmentTotal);
  assert.ok(byteTotal > 64 * 1024);
  assert.equal(byteCount, byteTotal);
  assert.ok(seen.every(({ max, current }) => current <= max && max <= segmentTotal));
  await assert.rejects(fetch(`${url}/-/ready`));
  await database.close();
  await rm(folder, { recursive: true });
});
