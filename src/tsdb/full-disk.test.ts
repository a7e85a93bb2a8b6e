import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, open, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { skipWithoutMount } from "../../test/support/full-disk.ts";
import { AppError } from "../base/errors.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { createMatcher } from "../model/matcher.ts";
import { diskError } from "../wal/writer.ts";
import { openDatabase } from "./database.ts";
import { FullDisk, hasSpaceIn } from "./full-disk.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

test("a full disk is told of when it begins and when it ends", async () => {
  const clock = stoppedClock(1_700_000_000_000);
  const lines: string[] = [];
  const write =
    (level: string) =>
    (message: string, fields: unknown): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const [error, warn] = [write("error"), write("warn")];
  const registry = new Registry();
  const disk = new FullDisk({
    clock,
    logger: { error, warn } as Logger,
    registry,
    hasSpace: async () => false,
  });
  const noSpace = (code: string): AppError =>
    diskError("write WAL", Object.assign(new Error("no"), { code }));
  const fail = (thrown: Error): Promise<void> =>
    assert.rejects(disk.watch(Promise.reject(thrown)), thrown);
  assert.equal(await disk.watch(Promise.resolve(7)), 7);
  await fail(new AppError("resource-exhausted", "too many series"));
  await fail(noSpace("EIO"));
  assert.equal(disk.error, "");
  assert.deepEqual(lines, []);
  for (let i = 0; i < 20; i++) {
    await fail(noSpace(i % 2 === 0 ? "ENOSPC" : "EDQUOT"));
    clock.nowMs += 1000;
    // A small write may find room though the disk is full.
    assert.equal(await disk.watch(Promise.resolve(i)), i);
  }
  assert.equal(
    disk.error,
    "nothing is stored since 2023-11-14T22:13:20.000Z, 20 scrapes so far: cannot write WAL: the disk is full (EDQUOT)",
  );
  assert.match(registry.expose(), /^shoal_storage_disk_full 1$/m);
  clock.nowMs += 4000;
  await disk.watch(Promise.resolve());
  assert.equal(disk.error, "");
  await disk.watch(Promise.resolve());
  assert.match(registry.expose(), /^shoal_storage_disk_full 0$/m);
  assert.match(registry.expose(), /^shoal_storage_refused_appends_total 20$/m);
  assert.deepEqual(lines, [
    'error the disk is full: scrapes are not stored until there is space {"error":"cannot write WAL: the disk is full (ENOSPC)"}',
    'warn the disk has space again: scrapes are stored {"not_stored":20,"duration_ms":24000}',
  ]);
  await fail(noSpace("ENOSPC"));
  assert.equal(lines.length, 3);
});

test("a full disk that nobody writes to any more is found to have space again", async () => {
  const timers: { delayMs: number; fire: () => void }[] = [];
  const clock = {
    ...stoppedClock(1_700_000_000_000),
    after(delayMs: number, fire: () => void): () => void {
      const timer = { delayMs, fire };
      timers.push(timer);
      return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
    },
  };
  let hasSpace = false;
  const registry = new Registry();
  const disk = new FullDisk({
    clock,
    logger: silentLogger,
    registry,
    hasSpace: async () => hasSpace,
  });
  const fail = (): Promise<void> => {
    const full = diskError("write WAL", Object.assign(new Error("no"), { code: "ENOSPC" }));
    return assert.rejects(disk.watch(Promise.reject(full)));
  };
  const passTry = async (): Promise<void> => {
    const [timer, ...others] = timers.splice(0);
    assert.deepEqual(others, []);
    clock.nowMs += timer!.delayMs;
    timer!.fire();
    await new Promise(setImmediate);
  };
  assert.equal(timers.length, 0);
  await fail();
  await passTry();
  await passTry();
  await passTry();
  assert.match(disk.error, /the disk is full/);
  hasSpace = true;
  await fail();
  const freedMs = clock.nowMs;
  while (disk.error !== "") await passTry();
  assert.ok(clock.nowMs - freedMs >= 5_000 && clock.nowMs - freedMs < 10_000);
  assert.match(registry.expose(), /^shoal_storage_disk_full 0$/m);
  assert.equal(timers.length, 0);
  await fail();
  assert.equal(timers.length, 1);
  await disk.close();
  assert.equal(timers.length, 0);
});

test("whether there is space is found out with a file that is gone then", async () => {
  const folder = await mkdtemp(join(tmpdir(), "has-space-test-"));
  assert.equal(await hasSpaceIn(folder), true);
  assert.deepEqual(await readdir(folder), []);
  assert.equal(await hasSpaceIn(join(folder, "gone")), false);
  await rm(folder, { recursive: true });
});

test(
  "a database on a disk that fills and is freed loses nothing acknowledged",
  { skip: skipWithoutMount() },
  async () => {
    const disk = await mkdtemp(join(tmpdir(), "full-disk-test-"));
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=8m", "none", disk]);
    const clock = stoppedClock(1_700_000_000_000);
    const options = {
      folder: join(disk, "data"),
      logger: silentLogger,
      clock,
      retentionMs: 1e12,
      outOfOrderTimeWindowMs: 1e7,
      chunkMemoryBytes: 1 << 20,
      walSegmentBytes: 1 << 20,
    };
    const acknowledged = new Set<string>();
    let refused = 0;
    try {
      let db = await openDatabase({ ...options, registry: new Registry() });
      for (let cycle = 0; cycle < 4; cycle++) {
        const file = await open(join(disk, "ballast"), "w");
        for (let isFull = false, round = 0; !isFull || round % 40 !== 0; round++) {
          if (!isFull)
            await file.write(new Uint8Array(200_000)).catch(() => {
              isFull = true;
            });
          // With a late sample, which goes into a log of its own.
          const nowMs = (clock.nowMs += 15_000);
          const rows = Array.from({ length: 200 }, (_, i) => {
            const ref = db.resolve(labels({ __name__: "m", i: String(i), cycle: String(cycle) }));
            return [ref, i === 0 && round % 5 === 4 ? nowMs - 20_000 : nowMs, round] as const;
          });
          try {
            const result = await db.append(columns(rows));
            assert.equal(result.appended, 200);
            for (const [i, [, t]] of rows.entries()) acknowledged.add(`${cycle} ${i} ${t}`);
          } catch {
            refused++;
          }
        }
        await file.close();
        assert.match(db.storageError, /the disk is full/);
        await db.maintain();
        await rm(join(disk, "ballast"));
        clock.nowMs += 15_000;
        const ref = db.resolve(labels({ __name__: "m", i: "0", cycle: String(cycle) }));
        assert.equal((await db.append(columns([[ref, clock.nowMs, 1]]))).appended, 1);
        acknowledged.add(`${cycle} 0 ${clock.nowMs}`);
        assert.equal(db.storageError, "");
        if (cycle % 2 === 1) {
          await db.close();
          db = await openDatabase({ ...options, registry: new Registry() });
        }
      }
      const there = new Set<string>();
      for (const series of await read(db, [createMatcher("__name__", "=", "m")]))
        for (const [t] of samples(series))
          there.add(`${series.labels.get("cycle")} ${series.labels.get("i")} ${t}`);
      await db.close();
      assert.ok(refused > 4 && acknowledged.size > 10_000, `${refused} ${acknowledged.size}`);
      assert.deepEqual([...acknowledged.difference(there)], []);
    } finally {
      execFileSync("umount", ["--lazy", disk]);
      await rm(disk, { recursive: true, force: true });
    }
  },
);
