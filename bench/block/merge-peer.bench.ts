/**
 * Three adjacent blocks of two hours merged into one of six, by us and by a real Prometheus on a copy of the folder.
 * Prometheus looks for work once a minute, so this takes a while. Run: node bench/block/merge-peer.bench.ts [series]
 */
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { openBlock } from "../../src/block/block.ts";
import { mergeBlocks } from "../../src/block/merge.ts";
import { isUlid, newUlid } from "../../src/block/ulid.ts";
import { Labels } from "../../src/model/labels.ts";
import { openDatabase } from "../../src/tsdb/database.ts";
import { cpuSeconds, startPrometheus, until } from "../../test/support/processes.ts";
import { report } from "../support/report.ts";

const SERIES = Number(process.argv[2] ?? 100_000);
const HOUR = 3_600_000;
const STEP_MS = 60_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (6 * HOUR));
const random = seededRandom(1);
const folder = mkdtempSync(join(tmpdir(), "shoal-bench-merge-"));

try {
  await makeBlocks(join(folder, "ours"));
  const blocks = await Promise.all(
    readdirSync(join(folder, "ours"))
      .filter(isUlid)
      .map((name) => openBlock(join(folder, "ours", name))),
  );
  blocks.sort((a, b) => a.meta.minTime - b.meta.minTime);
  for (const { folder: path, meta } of blocks)
    cpSync(path, join(folder, "theirs", meta.ulid), { recursive: true });
  const inputs = blocks.slice(0, 3);
  const samples = inputs.reduce((total, { meta }) => total + meta.stats.numSamples!, 0);

  const before = process.cpuUsage();
  const merged = await openBlock(
    (await mergeBlocks(inputs, {
      parent: folder,
      ulid: newUlid({ clock: systemClock, random }),
    }))!,
  );
  const { user, system } = process.cpuUsage(before);
  if (merged.meta.stats.numSamples !== samples) throw new Error("merged wrongly");
  const ours = samples / (user + system);

  const server = await startPrometheus({
    config: "",
    dataFolder: join(folder, "theirs"),
    flags: ["--storage.tsdb.retention.time=100y"],
  });
  let peer: number | undefined;
  if (server !== undefined) {
    const idleCpu = cpuSeconds(server.pid);
    await until(
      "Prometheus has merged",
      async () => {
        const text = await (await fetch(`${server.url}/metrics`)).text();
        return Number(/^prometheus_tsdb_compactions_total (\d+)/m.exec(text)?.[1]) > 0
          ? true
          : undefined;
      },
      180_000,
    );
    peer = samples / ((cpuSeconds(server.pid) - idleCpu) * 1e6);
    await server.stop();
  }
  report({
    name: `Merge of 3 blocks of ${SERIES} series, per core`,
    unit: "M samples/s",
    ours,
    ...(peer === undefined ? {} : { peer, peerName: "Prometheus 3.5" }),
    better: "more",
    gate: "2×",
  });
  for (const block of [...blocks, merged]) await block.close();
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** Four blocks of two hours, a sample a minute. */
async function makeBlocks(path: string): Promise<void> {
  let nowMs = START;
  const db = await openDatabase({
    folder: path,
    logger: createLogger({ level: "error" }),
    clock: { ...systemClock, now: () => nowMs, after: () => () => {} },
    registry: new Registry(),
    retentionMs: 1e12,
    maxBlockMs: 2 * HOUR,
  });
  const refs = Int32Array.from({ length: SERIES }, (_, i) =>
    db.resolve(
      Labels.fromObject({
        __name__: `metric_${i % 500}`,
        namespace: `ns-${i % 40}`,
        job: `job-${i % 20}`,
        instance: `10.0.${(i >> 8) & 255}.${i & 255}:9100`,
        pod: `pod-${i % 5000}`,
        le: String(i),
      }),
    ),
  );
  const times = new Float64Array(SERIES);
  const values = Float64Array.from(refs, () => randomInt(random, 1e6));
  while (db.blocks().length < 4) {
    times.fill(nowMs);
    for (let i = 0; i < SERIES; i++) values[i] = values[i]! + (i % 3 === 0 ? 0 : i % 100);
    await db.append({ refs, times, values, count: SERIES });
    nowMs += STEP_MS;
    if (nowMs % HOUR === 0) await db.maintain();
  }
  await db.close();
}
