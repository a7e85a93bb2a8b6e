import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findPrometheus, prometheusArguments } from "./prometheus-binary.ts";

test("the program is found by its path or its name, and a missing one says what to do", async () => {
  const folder = mkdtempSync(join(tmpdir(), "shoal-binary-"));
  const program = join(folder, "prometheus");
  try {
    writeFileSync(program, "#!/bin/sh\n");
    await assert.rejects(findPrometheus(program), /cannot find the program .*: install Prometheus/);
    chmodSync(program, 0o755);
    assert.equal(await findPrometheus(program), program);
    assert.equal(await findPrometheus("prometheus", `/nonexistent:${folder}`), program);
    await assert.rejects(
      findPrometheus("prometheus", "/nonexistent"),
      /cannot find the program prometheus in PATH: install .* --prometheus\.binary=/,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test("arguments are joined with ours, except those that the sidecar decides", () => {
  const start = {
    prometheusArgs: "",
    retentionTime: 0,
    retentionSize: 0,
    logLevel: "info",
    logFormat: "logfmt",
  };
  assert.deepEqual(prometheusArguments(start), ["--log.level=info", "--log.format=logfmt"]);
  assert.deepEqual(
    prometheusArguments({
      ...start,
      retentionTime: 86_400_000,
      retentionSize: 1000,
      prometheusArgs: " --log.level=debug  --enable-feature=a,b ",
    }),
    [
      "--log.format=logfmt",
      "--storage.tsdb.retention.time=1d",
      "--storage.tsdb.retention.size=1000B",
      "--log.level=debug",
      "--enable-feature=a,b",
    ],
  );
  for (const argument of ["--config.file=x", "--web.listen-address=:9", "--agent"])
    assert.throws(
      () => prometheusArguments({ ...start, prometheusArgs: argument }),
      /cannot use --\S+ in --prometheus\.args: the sidecar sets it/,
    );
});
