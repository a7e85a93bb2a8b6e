import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { diskError } from "../wal/writer.ts";
import { FullDisk } from "./full-disk.ts";
import { stoppedClock } from "./testing/head-fixture.ts";

test("a full disk is told of when it begins and when it ends", async () => {
  const clock = stoppedClock(1_700_000_000_000);
  const lines: string[] = [];
  const write =
    (level: string) =>
    (message: string, fields: unknown): void =>
      void lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  const [error, warn] = [write("error"), write("warn")];
  const registry = new Registry();
  const disk = new FullDisk({ clock, logger: { error, warn } as Logger, registry });
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
