import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { createLogger, silentLogger } from "../base/logger.ts";
import { checkFileSystem, fileSystemKind, refuseOrWarn } from "./file-system.ts";

test("file systems are told apart by their magic number", () => {
  const f = (magic: number, want: string): void => assert.equal(fileSystemKind(magic), want);
  f(0x6969, "network");
  f(0xff534d42, "network");
  f(-11317950, "network"); // the same number as a signed one
  f(0x01021994, "memory");
  f(0x794c7630, "container");
  f(0xef53, "ok"); // ext4
  f(0x58465342, "ok"); // XFS
});

test("network file systems are refused, passing ones warned of", async () => {
  const lines: string[] = [];
  const logger = createLogger({ write: (line) => lines.push(line) });
  assert.throws(() => refuseOrWarn("network", "/data", logger), {
    code: "unavailable",
    message: /^cannot use data folder \/data: it is on a network file system/,
  });
  refuseOrWarn("ok", "/data", logger);
  assert.equal(lines.length, 0);
  refuseOrWarn("memory", "/data", logger);
  refuseOrWarn("container", "/data", logger);
  assert.equal(lines.filter((line) => line.includes("level=WARN")).length, 2);
  await checkFileSystem(tmpdir(), silentLogger);
});
