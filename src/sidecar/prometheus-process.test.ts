import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { identifyProcess, isRunning } from "../base/process-identity.ts";
import { MemoryKills } from "./memory-kills.ts";
import { PrometheusProcess, type PrometheusProcessOptions } from "./prometheus-process.ts";

/** A program in Prometheus's place that appends its arguments to a file and runs until it is told to end. */
function program(folder: string): string {
  const path = join(folder, "prometheus");
  writeFileSync(
    path,
    `#!${process.execPath}
require("node:fs").appendFileSync(${JSON.stringify(join(folder, "starts"))}, process.argv.slice(2).join(" ") + "\\n");
process.on("SIGTERM", () => process.exit(0));
setInterval(() => {}, 1000);
`,
  );
  chmodSync(path, 0o755);
  return path;
}

interface Fixture {
  readonly folder: string;
  readonly make: (options?: Partial<PrometheusProcessOptions>) => PrometheusProcess;
  /** The arguments of each start so far. */
  readonly starts: () => string[];
}

function fixture(context: TestContext): Fixture {
  const folder = mkdtempSync(join(tmpdir(), "shoal-prometheus-"));
  const all: PrometheusProcess[] = [];
  const binary = program(folder);
  context.after(async () => {
    for (const each of all) await each.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    folder,
    make(options = {}) {
      const made = new PrometheusProcess({
        binary,
        configFile: join(folder, "prometheus.yml"),
        dataFolder: join(folder, "data"),
        args: ["--log.level=error"],
        environment: {},
        stateFile: join(folder, "prometheus.json"),
        clock: systemClock,
        logger: silentLogger,
        registry: new Registry(),
        memoryKills: new MemoryKills(() => ""),
        ...options,
      });
      all.push(made);
      return made;
    },
    starts() {
      const path = join(folder, "starts");
      // One that has made the file may not have written its line yet.
      return existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
    },
  };
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "it never happened");
    await systemClock.sleep(10);
  }
}

describe("PrometheusProcess", () => {
  it("starts it with its files and a free port, and ends it", async (context) => {
    const { make, starts, folder } = fixture(context);
    const own = make();
    assert.equal(own.url, undefined);
    await own.start();
    await until(() => starts().length === 1);
    const port = /^http:\/\/127\.0\.0\.1:(\d+)$/.exec(own.url ?? "")?.[1];
    assert.deepEqual(starts(), [
      `--config.file=${folder}/prometheus.yml --storage.tsdb.path=${folder}/data --web.enable-lifecycle --log.level=error --web.listen-address=127.0.0.1:${port}`,
    ]);
    const identity = identifyProcess(own.report().pid!);
    assert.ok(isRunning(identity));
    await own.stop();
    assert.equal(own.url, undefined);
    assert.equal(isRunning(identity), false);
    assert.ok(!existsSync(join(folder, "prometheus.json")));
  });

  it("takes over the one that a killed sidecar left behind", async (context) => {
    const { make, starts } = fixture(context);
    const first = make();
    await first.start();
    await until(() => starts().length === 1);
    // The first sidecar is as good as dead: nobody calls it any more.
    const second = make();
    await second.start();
    const identity = identifyProcess(second.report().pid!);
    assert.equal(identity.pid, first.report().pid);
    assert.equal(second.url, first.url);
    assert.equal(starts().length, 1);
    await second.stop();
    assert.equal(isRunning(identity), false);
  });

  it("ends one that was started otherwise before it starts its own", async (context) => {
    const { make, starts } = fixture(context);
    const first = make();
    await first.start();
    await until(() => starts().length === 1);
    const before = identifyProcess(first.report().pid!);
    const second = make({ args: ["--log.level=debug"] });
    await second.start();
    assert.equal(isRunning(before), false);
    await until(() => starts().some((line) => line.includes("--log.level=debug")));
    await first.stop();
  });

  it("starts again what ended, the adopted one too", async (context) => {
    const { make, starts } = fixture(context);
    const first = make();
    await first.start();
    await until(() => starts().length === 1);
    process.kill(first.report().pid!, "SIGTERM");
    await until(() => starts().length === 2);
    assert.equal(first.report().restarts, 1);
    assert.equal(first.report().outOfMemory, 0);
  });

  it("does not take a failed start for a kill", async (context) => {
    const { make, starts, folder } = fixture(context);
    const own = make();
    await own.start();
    await until(() => starts().length === 1);
    rmSync(join(folder, "prometheus"));
    process.kill(own.report().pid!, "SIGKILL");
    await until(() => own.report().error.includes("ENOENT"));
    assert.equal(own.report().outOfMemory, 1);
  });

  it("notices when memory runs out again and again", async (context) => {
    const { make, starts } = fixture(context);
    const loops: boolean[] = [];
    const own: PrometheusProcess = make({
      onChange: () => loops.push(own.report().isOutOfMemoryLoop),
    });
    await own.start();
    for (let kill = 1; kill <= 3; kill++) {
      await until(() => starts().length === kill);
      assert.equal(own.report().isOutOfMemoryLoop, false);
      process.kill(own.report().pid!, "SIGKILL");
      await until(() => own.report().outOfMemory === kill);
    }
    assert.equal(own.report().isOutOfMemoryLoop, true);
    assert.deepEqual([loops[0], loops.at(-1)], [false, true]);
  });
});
