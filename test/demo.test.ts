/** The demonstration checks itself; this runs it as a user does and reads its figures. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { SHOAL_COMMAND } from "./support/processes.ts";

test(
  "shoal demo --check settles on 3 shards and verifies itself",
  { timeout: 180_000 },
  async () => {
    const child = spawn(process.execPath, [...SHOAL_COMMAND, "demo", "--check"], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (stderr += data.toString()));
    const [code] = (await once(child, "close")) as [number | null];
    assert.equal(code, 0, stdout + stderr);
    const figures = JSON.parse(stdout.trim().split("\n").at(-1)!) as {
      shards: number;
      targets: number;
      settleSeconds: number;
    };
    assert.equal(figures.shards, 3);
    assert.equal(figures.targets, 6);
    assert.ok(figures.settleSeconds > 0);
  },
);
