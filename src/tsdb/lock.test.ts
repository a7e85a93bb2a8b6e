import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { AppError } from "../base/errors.ts";
import { createLogger } from "../base/logger.ts";
import { skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";
import { lockFolder, type LockOptions } from "./lock.ts";

const root = await mkdtemp(join(tmpdir(), "lock-test-"));
after(() => rm(root, { recursive: true, force: true }));

const HOLD = `
const { lockFolder } = await import(process.argv[1]);
await lockFolder(process.argv[2], JSON.parse(process.argv[3]));
console.log("held");
setInterval(() => {}, 1e6);
`;

/** Runs `command` before a process that holds `folder`, without PATH if there is to be no `flock`. */
async function holdElsewhere(
  folder: string,
  options: { command?: readonly string[]; hasFlock?: boolean; lock?: LockOptions } = {},
): Promise<{ child: ChildProcess; kill: () => Promise<void> }> {
  const { command = [], hasFlock = true, lock = {} } = options;
  const script = ["--input-type=module", "-e", HOLD, import.meta.resolve("./lock.ts")];
  const line = [...command, process.execPath, ...script, folder, JSON.stringify(lock)];
  const path = hasFlock ? process.env["PATH"] : "/nonexistent";
  const child = spawn(line[0]!, line.slice(1), {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PATH: path },
  });
  const closed = new Promise<void>((resolve) => child.on("close", () => resolve()));
  await Promise.race([new Promise((resolve) => child.stdout.once("data", resolve)), closed]);
  return {
    child,
    kill: async () => {
      child.kill("SIGKILL");
      await closed;
    },
  };
}

async function withoutFlock(act: () => Promise<void>): Promise<void> {
  const path = process.env["PATH"];
  process.env["PATH"] = "/nonexistent";
  try {
    await act();
  } finally {
    process.env["PATH"] = path;
  }
}

/** As two containers: no process, port or socket of one is seen in the other. */
const UNSHARE = ["/usr/bin/unshare", "-n", "-p", "-f", "--mount-proc", "--kill-child"];
const skipWithoutNamespaces =
  spawnSync(UNSHARE[0]!, [...UNSHARE.slice(1), "/bin/true"]).status !== 0 &&
  "skipped: no namespaces may be made here (unshare)";
const hasFlock = spawnSync("flock", ["--version"]).error === undefined;
const skipWithoutFlock = !hasFlock && "skipped: no program `flock` here";

test("another process's folder is refused by its pid, and free once that is killed", async () => {
  const folder = join(root, "owned");
  const { child, kill } = await holdElsewhere(folder);
  await assert.rejects(lockFolder(folder), {
    code: "already-exists",
    message: `cannot lock data folder ${folder}: process ${child.pid} is using it`,
  });
  await kill();
  // The dead owner's file is still there, and its lock is not.
  assert.match(await readFile(join(folder, "lock"), "utf8"), new RegExp(`"pid":${child.pid}`));
  const lock = await lockFolder(folder);
  await lock.release();
  await assert.rejects(readFile(join(folder, "lock")), { code: "ENOENT" });
});

test(
  "a Prometheus does not start on the folder",
  {
    skip: skipWithoutParts() || skipWithoutFlock,
  },
  async () => {
    const folder = join(root, "own");
    const lock = await lockFolder(folder);
    const text = await readFile(join(folder, "lock"), "utf8");
    await assert.rejects(startPrometheus({ config: "", dataFolder: folder }), /lock DB directory/);
    assert.equal(await readFile(join(folder, "lock"), "utf8"), text);
    await lock.release();
  },
);

test(
  "a Prometheus's folder is refused by its pid, and its lock left alone",
  {
    skip: skipWithoutParts(),
  },
  async () => {
    const folder = join(root, "of-prometheus");
    const prometheus = await startPrometheus({ config: "", dataFolder: folder });
    const { ino } = await stat(join(folder, "lock"));
    const refused = {
      code: "already-exists",
      message: `cannot lock data folder ${folder}: process ${prometheus!.pid} (prometheus) is using it`,
    };
    try {
      if (hasFlock) await assert.rejects(lockFolder(folder), refused);
      await withoutFlock(() => assert.rejects(lockFolder(folder), refused));
      assert.equal((await stat(join(folder, "lock"))).ino, ino);
    } finally {
      await prometheus!.stop();
    }
    await (await lockFolder(folder)).release();
  },
);

test(
  "a folder held in another container is refused, and free once its owner is killed",
  {
    skip: skipWithoutNamespaces || skipWithoutFlock,
  },
  async () => {
    const folder = join(root, "contained");
    const { kill } = await holdElsewhere(folder, { command: UNSHARE });
    await assert.rejects(lockFolder(folder), {
      code: "already-exists",
      message: `cannot lock data folder ${folder}: process 1 of another container or machine (${hostname()}) is using it`,
    });
    await kill();
    // The time of the file would keep it for a minute.
    await (await lockFolder(folder, { staleMs: 60_000 })).release();
  },
);

test(
  "without flock, an owner in another container lives while it sets the file's time",
  {
    skip: skipWithoutNamespaces,
  },
  async () => {
    const folder = join(root, "beating");
    const lock = { beatMs: 100, staleMs: 2_000 };
    const { kill } = await holdElsewhere(folder, { command: UNSHARE, hasFlock: false, lock });
    const lines: string[] = [];
    const logger = createLogger({ write: (line) => lines.push(line) });
    await assert.rejects(lockFolder(folder, { ...lock, logger }), /process 1 of another container/);
    await withoutFlock(() => assert.rejects(lockFolder(folder, lock), /process 1 of another/));
    await kill();
    const taken = await lockFolder(folder, { ...lock, logger });
    assert.match(lines.at(-1)!, /took over the data folder of an owner that gives no sign of life/);
    await taken.release();
  },
);

test("an owner whose file names another has lost the folder", async () => {
  const folder = join(root, "lost");
  const lock = await lockFolder(folder, { beatMs: 10 });
  const text = await readFile(join(folder, "lock"), "utf8");
  // Emptied or removed, it is made anew.
  await writeFile(join(folder, "lock"), "");
  await untilText(join(folder, "lock"), text);
  await rm(join(folder, "lock"));
  await untilText(join(folder, "lock"), text);
  await writeFile(join(folder, "lock"), text.replace(/"id":"./, `"id":"x`));
  await assert.rejects(lock.lost, { code: "already-exists" });
  await lock.release();
  assert.match(await readFile(join(folder, "lock"), "utf8"), /"id":"x/);
});

async function untilText(path: string, text: string): Promise<void> {
  while ((await readFile(path, "utf8").catch(() => "")) !== text)
    await new Promise((resolve) => setTimeout(resolve, 5));
}

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
