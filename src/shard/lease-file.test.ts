import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { LeaseRecord } from "./lease-elector.ts";
import { FileLeaseStore } from "./lease-file.ts";

const record = (holder: string, epoch = 1): LeaseRecord => ({
  holder,
  epoch,
  durationMs: 15_000,
  acquiredAtMs: 1,
  renewedAtMs: 2,
});

async function tempFolder(context: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-lease-"));
  context.after(() => rm(folder, { recursive: true, force: true }));
  return join(folder, "leader");
}

test("what was written is read, and one file remains", async (context) => {
  const folder = await tempFolder(context);
  const store = new FileLeaseStore(folder);
  assert.equal(await store.read(), undefined);
  const first = await store.write(record("a"), undefined);
  const second = await store.write(record("a", 2), first);
  assert.deepEqual(await new FileLeaseStore(folder).read(), second);
  assert.deepEqual(await readdir(folder), ["lease-2.json"]);
});

test("a version that another has replaced cannot be replaced again", async (context) => {
  const folder = await tempFolder(context);
  const store = new FileLeaseStore(folder);
  const first = await store.write(record("a"), undefined);
  await assert.rejects(store.write(record("b"), undefined), /another was faster/);
  const second = await store.write(record("a"), first);
  await assert.rejects(store.write(record("b"), first), /another was faster/);
  await store.write(record("a"), second);
  // The file of version 2 is gone: a paused writer may make it once more, and it counts for nothing.
  await assert.rejects(store.write(record("b"), first), /another was faster/);
  assert.equal((await store.read())?.record.holder, "a");
  assert.equal((await store.read())?.version, "3");
});

test("of many that write at once one wins each version", async (context) => {
  const folder = await tempFolder(context);
  const wins = new Map<string, string>();
  await Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const store = new FileLeaseStore(folder);
      for (let round = 0; round < 40; round++) {
        const seen = await store.read();
        try {
          const { version } = await store.write(record(`p${i}`), seen);
          assert.equal(wins.get(version), undefined, `version ${version} was won twice`);
          wins.set(version, `p${i}`);
        } catch (error) {
          assert.match(String(error), /another was faster/);
        }
      }
    }),
  );
  assert.ok(wins.size > 0);
  const last = await new FileLeaseStore(folder).read();
  assert.ok(Number(last?.version) >= wins.size);
});

test("an unfinished file names nobody; a folder that cannot be read is said", async (context) => {
  const folder = await tempFolder(context);
  const store = new FileLeaseStore(folder);
  await store.write(record("a"), undefined);
  await writeFile(join(folder, "lease-2.json"), "");
  assert.equal((await store.read())?.record.holder, "");
  await writeFile(join(folder, "file"), "");
  await assert.rejects(new FileLeaseStore(join(folder, "file")).read(), /cannot read the lease in/);
});
