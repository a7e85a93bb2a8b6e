import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AppError } from "../base/errors.ts";
import { lockFolder } from "./lock.ts";

const root = await mkdtemp(join(tmpdir(), "lock-test-"));
after(() => rm(root, { recursive: true, force: true }));

const HOLD = `
const { lockFolder } = await import(process.argv[1]);
await lockFolder(process.argv[2]);
console.log("held");
setInterval(() => {}, 1e6);
`;

test("another process's folder is refused by its pid, and free once that is killed", async () => {
  const folder = join(root, "owned");
  const child = spawn(
    process.execPath,
    ["--input-type=module", "-e", HOLD, import.meta.resolve("./lock.ts"), folder],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const closed = new Promise((resolve) => child.on("close", resolve));
  await new Promise((resolve) => child.stdout.once("data", resolve));
  await assert.rejects(lockFolder(folder), {
    code: "already-exists",
    message: `cannot lock data folder ${folder}: process ${child.pid} is using it`,
  });
  child.kill("SIGKILL");
  await closed;
  // The dead owner's file is still there, and its lock is not.
  assert.match(await readFile(join(folder, "lock"), "utf8"), new RegExp(`"pid":${child.pid}`));
  const lock = await lockFolder(folder);
  await lock.release();
  await assert.rejects(readFile(join(folder, "lock")), { code: "ENOENT" });
});

test("of many at once exactly one gets the folder", async () => {
  const folder = join(root, "contested");
  for (let round = 0; round < 5; round++) {
    // What a killed owner leaves: a pid that is in use, by a process that started at another time.
    const stale = { pid: process.ppid, startTime: "1", host: hostname() };
    if (round % 2 === 1) await writeFile(join(folder, "lock"), JSON.stringify(stale));
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => lockFolder(folder)));
    const won = results.filter((result) => result.status === "fulfilled");
    assert.equal(won.length, 1);
    for (const result of results)
      if (result.status === "rejected")
        assert.equal(AppError.from(result.reason).code, "already-exists");
    await won[0]!.value.release();
  }
});

test("files of others and torn files do not stop anyone", async () => {
  const folder = join(root, "odd");
  await (await lockFolder(folder)).release();
  for (const text of ["", "{", "12", '{"pid":"x"}', "null"]) {
    await writeFile(join(folder, "lock"), text);
    await (await lockFolder(folder)).release();
  }
  await writeFile(join(root, "file"), "");
  await assert.rejects(lockFolder(join(root, "file")), { code: "unavailable" });
});
