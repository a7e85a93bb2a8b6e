import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Fence } from "./fence.ts";

async function withPath(run: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-fence-"));
  try {
    await run(join(folder, "epoch"));
  } finally {
    await rm(folder, { recursive: true });
  }
}

test("an earlier epoch is refused, also after a restart; no epoch passes", async () => {
  await withPath(async (path) => {
    const fence = new Fence(path);
    await fence.open();
    assert.equal(fence.epoch, 0);
    await fence.pass(5);
    await fence.pass(5);
    await fence.pass(undefined);
    await fence.pass(7);
    const refused = { code: "outdated", message: /under epoch 6: .* epoch 7 is in charge/ };
    await assert.rejects(fence.pass(6), refused);
    assert.equal(await readFile(path, "utf8"), "7\n");
    const restarted = new Fence(path);
    await restarted.open();
    assert.equal(restarted.epoch, 7);
    await assert.rejects(restarted.pass(6), refused);
  });
});

test("a torn file is an error: to guess would let anybody in", async () => {
  await withPath(async (path) => {
    for (const text of ["", "12", "x\n", "-1\n", "1e9\n"]) {
      await writeFile(path, text);
      await assert.rejects(new Fence(path).open(), { code: "corrupt" });
    }
  });
});
