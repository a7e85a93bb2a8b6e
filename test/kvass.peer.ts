/**
 * Our coordinator beside a real Kvass v0.3.2 (`KVASS_BINARY=/path/kvass npm run test:kvass`): it drives Kvass's sidecars, and
 * a sidecar of ours takes the place of one. With SHOAL_REWRITE=1 what was said is written down for the unit tests that have
 * no Kvass.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connectShard } from "../src/shard/control.ts";
import { adaptKvass } from "../src/shard/kvass-peer.ts";
import { converse, kvassConfig, kvassTargets } from "../src/shard/testdata/kvass-conversation.ts";
import {
  configText,
  EXPORTERS,
  hashesAt,
  KvassWorld,
  record,
  recordingProxy,
  SERIES,
  skipWithoutKvass,
  type Status,
  targetsAt,
} from "./support/kvass.ts";
import { apiData, startShoal, until } from "./support/processes.ts";
import { value } from "./support/sidecar-shards.ts";

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

const skip = skipWithoutKvass();

describe("our coordinator beside a real Kvass", () => {
  const world = new KvassWorld();
  before(() => world.start());
  after(() => world.stop());

  test(
    "our coordinator says to its sidecar what it understands, word by word",
    { skip },
    async () => {
      const shard = await world.startTheirShard("conversation");
      const recorder = await recordingProxy(shard.url);
      world.running.push({ stop: async () => recorder.close() });
      const config = kvassConfig(world.addresses);
      const list = kvassTargets(config, world.addresses);
      const control = adaptKvass(connectShard(recorder.url), () => []);
      const told = await converse(control, { config, list }, async () => {
        await until("both targets were scraped", async () => {
          const status = await apiData<Record<string, Status>>(
            `${shard.url}/api/v1/shard/targets/status/`,
          );
          const all = Object.values(status);
          return (all.length === 2 && all.every(({ health }) => health === "up")) || undefined;
        });
        assert.deepEqual(await hashesAt(shard.url), told0());
      });
      function told0(): string[] {
        const body = recorder.exchanges.at(-1)!.body;
        return [...body.matchAll(/\{"hash":(\d+),/g)].map((match) => match[1]!).sort();
      }
      control.close();
      assert.equal(told.configured.configHash, "ours");
      assert.deepEqual(
        list.map(({ target }) => {
          const { load } = told.scraped.get(target.hash)!;
          return [load.series, load.rawSeries];
        }),
        [
          [SERIES - 1, SERIES],
          [SERIES, SERIES],
        ],
      );
      record("shard/testdata/kvass/sidecar.json", { config, exchanges: recorder.exchanges });
    },
  );

  test(
    "our coordinator drives its sidecars, and ours takes the place of one without a failed scrape",
    { skip },
    async (context) => {
      // The second reads a file of its own.
      const theirFile = join(world.folder, "theirs.yml");
      const writeTheirs = (dropped: string): void =>
        writeFileSync(
          theirFile,
          configText(world.addresses, dropped).replace(
            "cluster: real",
            "cluster: real, replica: b",
          ),
        );
      writeTheirs("0");
      const shards = [
        await world.startTheirShard("their-0"),
        await world.startTheirShard("their-1", theirFile),
      ];
      const configFile = join(world.folder, "ours.yml");
      writeFileSync(configFile, configText(world.addresses, "0"));
      const shardsFile = join(world.folder, "their-shards.yml");
      const list = shards.map(({ url }, i) => `{id: shard-${i}, url: "${url}"}`);
      writeFileSync(shardsFile, `replicas: [{shards: [${list.join(", ")}]}]`);
      const coordinator = await startShoal({
        args: [
          "coordinator",
          `--config.file=${configFile}`,
          `--shard.static-file=${shardsFile}`,
          "--coordinator.interval=1s",
          "--web.enable-lifecycle",
          "--web.enable-admin-api",
        ],
      });
      world.running.push(coordinator);
      const scraped = (url: string): Promise<number> => value(url, "count(up == 1)");
      const perShard = async (): Promise<number[]> =>
        Promise.all(shards.map(async ({ prometheus }) => (await scraped(prometheus.url)) || 0));
      await until("all targets are scraped, on both", async () => {
        const counts = await perShard();
        return counts.every((count) => count > 0) && counts[0]! + counts[1]! === EXPORTERS
          ? true
          : undefined;
      });
      const known = await until("all are counted", async () => {
        const all = await targetsAt(coordinator.url);
        return all.every(({ health, totalSeries }) => health === "up" && totalSeries === SERIES)
          ? all
          : undefined;
      });
      assert.deepEqual(
        known.map(({ series }) => series),
        known.map(() => SERIES - 1),
        "metric_relabel_configs are counted",
      );
      const hashes = (await Promise.all(shards.map(({ url }) => hashesAt(url)))).flat().sort();
      assert.deepEqual(hashes, known.map(({ hash = "" }) => hash).sort(byText), "hashes are exact");

      // Only a regular expression changes, which Kvass's hash does not see.
      writeFileSync(configFile, configText(world.addresses, "[01]"));
      writeTheirs("[01]");
      await fetch(`${shards[1]!.url}/-/reload/`, { method: "POST" });
      await fetch(`${coordinator.url}/-/reload`, { method: "POST" });
      await until(
        "the edited regular expression is everywhere",
        async () => {
          const counts = await Promise.all(
            shards.map(({ prometheus }) => value(prometheus.url, "count(count by (i) (work))")),
          );
          return counts.every((count) => count === SERIES - 2) ? true : undefined;
        },
        120_000,
      );

      // The emergency switch reaches its sidecars too.
      const stop = async (stopScrapeReason: string): Promise<void> => {
        const response = await fetch(`${coordinator.url}/api/v1/status/extra_config`, {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: JSON.stringify({ stopScrapeReason }),
        });
        assert.equal(response.status, 200, await response.text());
      };
      await stop("too much");
      await until("nothing is scraped, and it is said why", async () => {
        const all = await targetsAt(coordinator.url);
        return all.every(({ health, lastError }) => health === "down" && lastError === "too much")
          ? true
          : undefined;
      });
      await stop("");
      await until("all is scraped again", async () =>
        (await targetsAt(coordinator.url)).every(({ health }) => health === "up")
          ? true
          : undefined,
      );

      // A move: the first shard is emptied into the second.
      const drained = await fetch(
        `${coordinator.url}/api/v1/shards/drain?shard=shard-0&drain=true`,
        {
          method: "POST",
        },
      );
      assert.equal(drained.status, 200, await drained.text());
      await until("all targets are on the second", async () => {
        const on = await Promise.all(shards.map(async ({ url }) => (await hashesAt(url)).length));
        return on.join() === `0,${EXPORTERS}` ? true : undefined;
      });
      await until("the second scrapes them all", async () =>
        (await scraped(shards[1]!.prometheus.url)) === EXPORTERS ? true : undefined,
      );

      // What it has written down is what our sidecar takes up in its place. Prometheus asks Kvass's proxy until ours has
      // given it another configuration: only then Kvass's sidecar may go.
      await coordinator.stop();
      const { sidecar, store, output, prometheus } = shards[1]!;
      const state = readFileSync(join(store, "kvass-shard.json"), "utf8");
      for (const hash of hashes) assert.match(state, new RegExp(`"hash":${hash}[,}]`));
      record("sidecar/testdata/kvass/state.json", {
        config: configText(world.addresses, "[01]"),
        hashes,
        state,
      });
      const begunMs = performance.now();
      const ours = await startShoal({
        args: [
          "sidecar",
          `--config.file=${configFile}`,
          `--config.output-file=${output}`,
          `--store.path=${store}`,
          `--prometheus.url=${prometheus.url}`,
          "--grpc-address=127.0.0.1:0",
        ],
      });
      world.running.push(ours);
      assert.deepEqual(await hashesAt(ours.url), hashes, "it has them all, under the same hashes");
      const scrapesAllItself = async (): Promise<true | undefined> => {
        const { activeTargets } = await apiData<{
          activeTargets: { health: string; globalUrl: string }[];
        }>(`${prometheus.url}/api/v1/targets?state=active`);
        const isSo = activeTargets.every(
          ({ health, globalUrl }) => health === "up" && !globalUrl.includes("_hash="),
        );
        return isSo && activeTargets.length === EXPORTERS ? true : undefined;
      };
      await until("Prometheus scrapes them itself now", scrapesAllItself);
      await sidecar.stop();
      const asked = (): number[] => world.exporters.map(({ requests }) => requests.length);
      const before = asked();
      await until(
        "each is scraped twice without Kvass",
        async () => asked().every((count, i) => count >= before[i]! + 2) || undefined,
      );
      await until("our sidecar sees them up", async () => {
        const status = await apiData<Record<string, Status>>(
          `${ours.url}/api/v1/shard/targets/status`,
        );
        return Object.values(status).every(({ health }) => health === "up") || undefined;
      });
      const seconds = Math.ceil((performance.now() - begunMs) / 1000);
      const never = `count(min_over_time(up{job!=""}[${seconds}s]) == 1)`;
      assert.equal(await value(prometheus.url, never), EXPORTERS, "a scrape failed meanwhile");
      context.diagnostic(
        `longest pause of a target's scrapes: ${longestPauseMs(world, begunMs)} ms`,
      );
    },
  );
});

function longestPauseMs({ exporters }: KvassWorld, sinceMs: number): number {
  const pauses = exporters.flatMap(({ requests }) => {
    const times = requests.map(({ timeMs }) => timeMs).filter((timeMs) => timeMs >= sinceMs);
    return times.slice(1).map((timeMs, i) => timeMs - times[i]!);
  });
  return Math.round(Math.max(...pauses));
}
