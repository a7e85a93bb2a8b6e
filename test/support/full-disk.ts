import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Labels } from "../../src/model/labels.ts";
import { remoteWrite } from "../../src/promql/testing/remote-write.fixture.ts";
import {
  apiData,
  freePort,
  type RunningProcess,
  sleep,
  startShoal,
  temporaryFolder,
  until,
} from "./processes.ts";
import { startRecordingExporter } from "./recording-exporter.ts";

const DISK_BYTES = 24 << 20;
/** Ingest goes on at the latest so long after there is space. */
const RESUME_MAX_MS = 10_000;
const WRITE_EVERY_MS = 100;

/** Mounts a file system of `bytes` at `folder`. */
export function mountDisk(folder: string, bytes: number): void {
  mkdirSync(folder);
  const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${bytes}`, "none", folder]);
  assert.equal(mounted.status, 0, String(mounted.stderr));
}

/** Why the test cannot run here; false when it can. */
export function skipWithoutMount(): false | string {
  const folder = temporaryFolder("mount");
  const result = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "none", folder]);
  if (result.status === 0) spawnSync("umount", [folder]);
  rmSync(folder, { recursive: true, force: true });
  return result.status === 0 ? false : "skipped: a small file system cannot be mounted here (root)";
}

/**
 * A shard on a disk that is filled and freed again and again while a target is scraped and samples are written to it:
 * nothing acknowledged is lost, all say that the disk is full, and it goes on by itself.
 */
export async function fullDisk({ cycles }: { cycles: number }): Promise<{ longestMs: number }> {
  const folder = temporaryFolder("full-disk");
  const disk = join(folder, "disk");
  mountDisk(disk, DISK_BYTES);
  const data = join(disk, "data");
  const running: RunningProcess[] = [];
  const exporter = await startRecordingExporter();
  const grpc = `127.0.0.1:${await freePort()}`;
  const startShard = (): Promise<RunningProcess> =>
    startShoal({
      args: [
        "shard",
        "--shard.id=shard-0",
        `--storage.tsdb.path=${data}`,
        `--grpc.address=${grpc}`,
        "--web.enable-remote-write-receiver",
      ],
    });
  try {
    const shard = await startShard();
    running.push(shard);
    const configFile = join(folder, "prometheus.yml");
    writeFileSync(
      configFile,
      `scrape_configs: [{job_name: one, scrape_interval: 1s, static_configs: [{targets: ["${exporter.address}"]}]}]\n`,
    );
    writeFileSync(
      join(folder, "shards.yml"),
      `replicas: [{shards: [{id: shard-0, url: "${shard.url}"}]}]\n`,
    );
    const coordinator = await startShoal({
      args: [
        "coordinator",
        `--config.file=${configFile}`,
        `--shard.static-file=${join(folder, "shards.yml")}`,
        "--coordinator.interval=1s",
      ],
    });
    running.push(coordinator);
    const writer = startWriter(shard.url);
    const storageReason = async (): Promise<string | undefined> => {
      const path = "/api/v1/conditions?kind=storage";
      const { conditions } = await apiData<{ conditions: { from: string; reason: string }[] }>(
        `${coordinator.url}${path}`,
      );
      return conditions.find(({ from }) => from === "shard-0")?.reason;
    };
    let longestMs = 0;
    try {
      for (let cycle = 0; cycle < cycles; cycle++) {
        await writer.acknowledges();
        assert.equal(await storageReason(), undefined);
        await fill(join(disk, "ballast"));
        await writer.fails();
        const reason = await until("the coordinator says it", storageReason);
        assert.match(reason, /^nothing is stored since .* the disk is full \(ENOSPC\)$/);
        const { shards } = await apiData<{ shards: { error: string }[] }>(
          `${coordinator.url}/api/v1/shards`,
        );
        assert.match(shards[0]!.error, /the disk is full/);
        const metrics = await (await fetch(`${shard.url}/metrics`)).text();
        assert.match(metrics, /^shoal_storage_disk_full 1$/m);
        // Some scrapes and writes fail.
        await sleep(2_000);
        rmSync(join(disk, "ballast"));
        const freedMs = performance.now();
        await writer.acknowledges();
        longestMs = Math.max(longestMs, performance.now() - freedMs);
        await until("the state ends", async () =>
          (await storageReason()) === undefined ? true : undefined,
        );
      }
    } finally {
      await writer.stop();
    }
    assert.ok(longestMs < RESUME_MAX_MS, `ingest went on after ${longestMs} ms`);
    const lines = shard.output().split("\n");
    const begun = lines.filter((line) => line.includes("the disk is full: scrapes are not stored"));
    const ended = lines.filter((line) => line.includes("the disk has space again"));
    assert.equal(begun.length, cycles, shard.output());
    assert.equal(ended.length, cycles, shard.output());
    for (const line of ended) assert.ok(Number(/not_stored=(\d+)/.exec(line)?.[1]) > 0, line);
    assert.deepEqual(
      lines.filter((line) => line.includes("level=ERROR") && !begun.includes(line)),
      [],
    );
    // The machine is sound, the process is not asked: what it acknowledged has to be on the disk.
    shard.child.kill("SIGKILL");
    await until("the shard is gone", async () =>
      shard.child.signalCode === null ? undefined : true,
    );
    running.push(await startShard(), await startShoal({ args: ["query", `--endpoint=${grpc}`] }));
    const { url } = running.at(-1)!;
    const { result } = await apiData<{ result: { values: [number, string][] }[] }>(
      `${url}/api/v1/query?query=${encodeURIComponent("written[1h]")}`,
    );
    const there = new Set(result[0]?.values.map(([, value]) => Number(value)));
    const lost = writer.acknowledged.filter((value) => !there.has(value));
    assert.ok(writer.acknowledged.length > 10 * cycles);
    assert.ok(writer.refusedCount() >= cycles);
    assert.deepEqual(lost, []);
    return { longestMs };
  } finally {
    for (const one of running.reverse()) await one.stop();
    exporter.close();
    spawnSync("umount", ["--lazy", disk]);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Takes all the space there is. */
export async function fill(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (let size = 1 << 20; size >= 512;)
      try {
        await file.write(new Uint8Array(size));
      } catch {
        size /= 2;
      }
  } finally {
    await file.close().catch(() => {});
  }
}

interface Writer {
  /** The values that were acknowledged. */
  readonly acknowledged: readonly number[];
  refusedCount(): number;
  /** Waits for the next write that is acknowledged. */
  acknowledges(): Promise<void>;
  /** Waits for the next one that is not. */
  fails(): Promise<void>;
  stop(): Promise<void>;
}

/** Writes 1, 2, 3, … to the series `written`, with many others so that a full page does not take it. */
function startWriter(url: string): Writer {
  const acknowledged: number[] = [];
  let refused = 0;
  let isStopped = false;
  const write = async (): Promise<void> => {
    for (let value = 1; !isStopped; value++) {
      const timeMs = Date.now();
      try {
        await remoteWrite(
          url,
          ["written", ...Array.from({ length: 100 }, (_, i) => `other_${i}`)].map((name) => ({
            labels: Labels.fromObject({ __name__: name }),
            samples: [{ timeMs, value }],
          })),
        );
        acknowledged.push(value);
      } catch (error) {
        assert.match(String(error), /remote write: 503 /);
        refused++;
      }
      await sleep(WRITE_EVERY_MS);
    }
  };
  const writing = write();
  const grows = async (what: string, count: () => number): Promise<void> => {
    const before = count();
    await until(what, async () => (count() > before ? true : undefined));
  };
  return {
    acknowledged,
    refusedCount: () => refused,
    acknowledges: () => grows("a write is acknowledged", () => acknowledged.length),
    fails: () => grows("a write fails", () => refused),
    async stop() {
      isStopped = true;
      await writing;
    },
  };
}
