import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import {
  apiData,
  type RunningProcess,
  skipWithoutParts,
  startShoal,
  until,
} from "./support/processes.ts";
import { startRecordedJob } from "./support/recording-exporter.ts";
import {
  activeTargets,
  shardsFile,
  startBeside,
  startShard,
  value,
} from "./support/sidecar-shards.ts";

/** The sidecar lives on, but the Prometheus beside it does not: its targets must not stay unscraped. */

const TARGETS = 4;

test(
  "targets of a dead Prometheus go to the others and are not doubled when it returns",
  { skip: skipWithoutParts() },
  async () => {
    const { folder, configFile, close } = await startRecordedJob("sidecar-failover", {
      count: TARGETS,
    });
    const running: RunningProcess[] = [];
    try {
      const shards = await Promise.all([0, 1].map((i) => startShard(folder, i, running)));
      const coordinator = await startShoal({
        args: [
          "coordinator",
          `--config.file=${configFile}`,
          `--shard.static-file=${shardsFile(folder, shards)}`,
          "--coordinator.interval=1s",
          "--shard.failover-grace=2s",
          "--shard.max-series=1000",
        ],
      });
      const query = await startShoal({
        args: ["query", ...shards.map(({ grpc }) => `--endpoint=${grpc}`)],
      });
      running.push(coordinator, query);
      const [dead, other] = shards;
      assert.ok(dead !== undefined && other !== undefined);
      const counts = (): Promise<number[]> =>
        Promise.all(
          shards.map(
            async ({ prometheus }) =>
              (await activeTargets(prometheus.url).catch(() => [])).filter(
                ({ health }) => health === "up",
              ).length,
          ),
        );
      await until("each has its half", async () =>
        (await counts()).join() === "2,2" ? true : undefined,
      );

      dead.prometheus.child.kill("SIGKILL");
      await once(dead.prometheus.child, "exit");
      await until("the other has all", async () =>
        (await counts()).join() === "0,4" ? true : undefined,
      );
      const runtime = await fetch(`${dead.sidecar.url}/api/v1/shard/runtimeinfo`);
      assert.equal(runtime.status, 503);
      assert.match(await runtime.text(), /cannot reach Prometheus at http:\/\/127\.0\.0\.1/);
      await until("the query sees all", async () =>
        (await value(query.url, "sum(up)").catch(() => 0)) === TARGETS ? true : undefined,
      );

      dead.prometheus = await startBeside(dead);
      running.push(dead.prometheus);
      await until("it is a shard again", async () => {
        const { shards: known } = await apiData<{ shards: { state: string; targets: number }[] }>(
          `${coordinator.url}/api/v1/shards`,
        );
        const given = known.reduce((sum, { targets: count }) => sum + count, 0);
        return known.every(({ state }) => state === "ready") && given === TARGETS
          ? true
          : undefined;
      });
      await until("no target is scraped twice", async () => {
        const all = await counts();
        return all[0]! + all[1]! === TARGETS ? true : undefined;
      });
      assert.equal(await value(query.url, "sum(up)"), TARGETS);
    } finally {
      await Promise.all(running.map(async ({ stop }) => stop()));
      close();
    }
  },
);
