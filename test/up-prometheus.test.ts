import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  freePort,
  partPath,
  type RunningProcess,
  skipWithoutParts,
  startShoal,
  until,
} from "./support/processes.ts";
import { startRecordedJob } from "./support/recording-exporter.ts";
import { value } from "./support/sidecar-shards.ts";

/** `shoal up` on a real Prometheus: whatever is killed, there is one Prometheus on the shard's folder, and it scrapes. */

interface Shard {
  readonly state: string;
  readonly pid: number;
  readonly http: string;
  readonly targets: number;
}

function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return !stat.slice(stat.lastIndexOf(")")).startsWith(") Z");
  } catch {
    return false;
  }
}

test(
  "a real Prometheus under `shoal up` outlives its sidecar and is never doubled",
  { skip: skipWithoutParts() },
  async () => {
    const { folder, configFile, close } = await startRecordedJob("up-prometheus", { count: 1 });
    const port = await freePort();
    const startUp = (): Promise<RunningProcess> =>
      startShoal({
        args: [
          "up",
          `--config.file=${configFile}`,
          `--storage.tsdb.path=${join(folder, "data")}`,
          "--shard.engine=prometheus",
          `--prometheus.binary=${partPath("prometheus")}`,
          "--prometheus.args=--query.max-concurrency=7",
          "--coordinator.interval=1s",
          "--log.level=warn",
        ],
        port,
      });
    /** The shard's Prometheus as its folder says. */
    const prometheusPid = (): number => {
      const path = join(folder, "data/shards/0/prometheus.json");
      const state = JSON.parse(readFileSync(path, "utf8")) as { process: { pid: number } };
      return state.process.pid;
    };
    let up = await startUp();
    const settled = (): Promise<Shard> =>
      until("the target is up", async () => {
        const { shards } = await apiData<{ shards: Shard[] }>(`${up.url}/api/v1/shards`);
        const [shard] = shards;
        const count = await value(up.url, "sum(up)").catch(() => 0);
        return shard?.state === "ready" && shard.targets === 1 && count === 1 ? shard : undefined;
      });
    try {
      const first = await settled();
      const build = await apiData<{ version: string }>(
        `http://${first.http}/api/v1/status/buildinfo`,
      );
      assert.match(build.version, /^\d+\.\d+/);
      const flags = await apiData<Record<string, string>>(
        `http://${first.http}/api/v1/status/flags`,
      );
      assert.equal(flags["query.max-concurrency"], "7");
      assert.equal(flags["storage.tsdb.retention.time"], "15d");
      const pid = prometheusPid();

      process.kill(first.pid, "SIGKILL");
      const second = await until("a new sidecar is there", async () => {
        const shard = await settled();
        return shard.pid === first.pid ? undefined : shard;
      });
      assert.equal(prometheusPid(), pid, "its Prometheus went on");

      process.kill(pid, "SIGKILL");
      await until("Prometheus was started again", async () =>
        prometheusPid() === pid ? undefined : true,
      );
      assert.equal((await settled()).pid, second.pid, "the sidecar stayed");
      const restarted = prometheusPid();

      up.child.kill("SIGKILL");
      await once(up.child, "exit");
      up = await startUp();
      assert.equal((await settled()).pid, second.pid, "the shard was taken over");
      assert.equal(prometheusPid(), restarted);

      await up.stop();
      assert.deepEqual([second.pid, restarted].filter(isAlive), [], "nothing is left behind");
    } finally {
      await up.stop();
      close();
    }
  },
);
