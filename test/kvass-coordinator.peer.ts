/**
 * Our sidecars under a real Kvass coordinator (`KVASS_BINARY=/path/kvass npm run test:kvass`), from the start and in the
 * place of one of its own.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  configText,
  EXPORTERS,
  hashesAt,
  KvassWorld,
  record,
  type RecordingProxy,
  recordingProxy,
  SERIES,
  skipWithoutKvass,
  startKvass,
  targetsAt,
} from "./support/kvass.ts";
import { freePort, type RunningProcess, startShoal, until } from "./support/processes.ts";
import { startShard, value } from "./support/sidecar-shards.ts";

const skip = skipWithoutKvass();

describe("our sidecars under a real Kvass coordinator", () => {
  const world = new KvassWorld();
  before(() => world.start());
  after(() => world.stop());

  test("its coordinator drives our sidecars", { skip }, async () => {
    const startedMs = performance.now();
    const base = join(world.folder, "driven");
    mkdirSync(base);
    const configFile = join(base, "prometheus.yml");
    writeFileSync(configFile, configText(world.addresses, "0"));
    // The second sidecar reads a file of its own.
    const ownFile = join(base, "own.yml");
    const writeOwn = (dropped: string): void =>
      writeFileSync(
        ownFile,
        configText(world.addresses, dropped).replace("cluster: real", "cluster: real, replica: b"),
      );
    writeOwn("0");
    const port = await freePort();
    const their = `http://127.0.0.1:${port}`;
    const api = await recordingProxy(their);
    world.running.push({ stop: async () => api.close() });
    const proxyPort = await freePort();
    const started: RunningProcess[] = [];
    const shards = [
      await startShard(base, 0, started, [`--kvass.coordinator-url=${api.url}`]),
      await startShard(base, 1, started, [
        `--kvass.coordinator-url=${their}`,
        `--config.file=${ownFile}`,
        "--delivery=proxy",
        `--web.proxy-addr=127.0.0.1:${proxyPort}`,
      ]),
    ];
    world.running.push(...started);
    const recorder: RecordingProxy = await recordingProxy(`http://127.0.0.1:${shards[0]!.port}`);
    world.running.push({ stop: async () => recorder.close() });
    const shardsFile = join(base, "shards.yml");
    writeFileSync(
      shardsFile,
      `replicas:
- shards:
  - {id: shard-0, url: "${recorder.url}"}
  - {id: shard-1, url: "http://127.0.0.1:${shards[1]!.port}"}
`,
    );
    const coordinator = await startKvass(
      [
        "coordinator",
        "--shard.type=static",
        `--shard.static-file=${shardsFile}`,
        `--config.file=${configFile}`,
        `--web.address=127.0.0.1:${port}`,
        "--coordinator.interval=1s",
      ],
      their,
    );
    world.running.push(coordinator);
    const all = await until("all targets are up on our shards", async () => {
      const known = await targetsAt(their);
      const isDone =
        known.length === EXPORTERS &&
        known.every(({ health, shards: on }) => health === "up" && on?.length === 1) &&
        new Set(known.map(({ shards: on }) => on[0])).size === 2;
      return isDone ? known : undefined;
    });
    for (const { series, totalSeries, lastError } of all)
      assert.deepEqual([series, totalSeries, lastError], [SERIES - 1, SERIES, ""]);
    const urls = shards.map((shard) => `http://127.0.0.1:${shard.port}`);
    assert.equal(new Set((await Promise.all(urls.map(hashesAt))).flat()).size, EXPORTERS);
    const ask = async (query: string): Promise<number[]> =>
      Promise.all(shards.map(async ({ prometheus }) => (await value(prometheus.url, query)) || 0));
    const sum = async (query: string): Promise<number> => {
      const counts = await ask(query);
      return counts.reduce((a, b) => a + b, 0);
    };
    // It calls a target up when it has explored it; whether it is scraped only Prometheus knows.
    await until("our shards have all series", async () =>
      (await sum("count(work)")) === EXPORTERS * (SERIES - 1) ? true : undefined,
    );
    assert.equal(await sum('count(work{zone="Zürich"})'), 4 * (SERIES - 1));
    for (const { requests } of world.exporters.slice(4))
      assert.deepEqual(
        [...new Set(requests.flatMap(({ url, timeMs }) => (timeMs > startedMs ? [url] : [])))],
        ["/probe?module=default&module=second&x=1"],
      );
    assert.ok((await ask("count(up)")).every((count) => count > 0));

    // Kvass's own hash does not see a regular expression; our sidecars do.
    writeFileSync(configFile, configText(world.addresses, "[01]"));
    writeOwn("[01]");
    await fetch(`${their}/-/reload`, { method: "POST" });
    await until("the edited regular expression is everywhere", async () => {
      const counts = await ask("count(count by (i) (work))");
      return counts.every((count) => count === SERIES - 2) ? true : undefined;
    });

    // Its emergency switch.
    const stop = async (stopScrapeReason: string): Promise<void> => {
      const body = JSON.stringify({ stopScrapeReason });
      const response = await fetch(`${their}/api/v1/status/extra_config`, { method: "POST", body });
      assert.equal(response.status, 200);
    };
    await stop("too much");
    await until("nothing is scraped, and it is said why", async () => {
      const known = await targetsAt(their);
      return known.every(({ health, lastError }) => health === "down" && lastError === "too much")
        ? true
        : undefined;
    });
    await stop("");
    await until("all is scraped again", async () => {
      const known = await targetsAt(their);
      return known.every(({ health }) => health === "up") ? true : undefined;
    });
    record("api/testdata/kvass/coordinator.json", {
      sidecar: distinct(recorder),
      coordinator: distinct(api),
    });
  });

  test(
    "our sidecar takes the place of one of its own under its coordinator",
    { skip },
    async () => {
      const shard = await world.startTheirShard("replaced");
      const base = join(world.folder, "replacing");
      mkdirSync(base);
      const configFile = join(base, "prometheus.yml");
      writeFileSync(configFile, configText(world.addresses, "0"));
      const shardsFile = join(base, "shards.yml");
      writeFileSync(shardsFile, `replicas: [{shards: [{id: shard-0, url: "${shard.url}"}]}]`);
      const port = await freePort();
      const their = `http://127.0.0.1:${port}`;
      world.running.push(
        await startKvass(
          [
            "coordinator",
            "--shard.type=static",
            `--shard.static-file=${shardsFile}`,
            `--config.file=${configFile}`,
            `--web.address=127.0.0.1:${port}`,
            "--coordinator.interval=1s",
          ],
          their,
        ),
      );
      const all = async (): Promise<true | undefined> =>
        (await value(shard.prometheus.url, "count(up == 1)")) === EXPORTERS || undefined;
      await until("its own sidecar scrapes all", all);
      const hashes = await hashesAt(shard.url);
      await shard.sidecar.stop();
      record("sidecar/testdata/kvass/own-state.json", {
        config: readFileSync(configFile, "utf8"),
        addresses: world.addresses,
        state: readFileSync(join(shard.store, "kvass-shard.json"), "utf8"),
      });
      const ours = await startShoal({
        args: [
          "sidecar",
          `--kvass.coordinator-url=${their}`,
          `--config.output-file=${shard.output}`,
          `--store.path=${shard.store}`,
          `--prometheus.url=${shard.prometheus.url}`,
          "--grpc-address=127.0.0.1:0",
        ],
        port: Number(new URL(shard.url).port),
      });
      world.running.push(ours);
      await until("it has what the other had", async () =>
        (await hashesAt(ours.url)).join() === hashes.join() ? true : undefined,
      );
      assert.match(ours.output(), /took over Kvass's targets/);
      await until("Prometheus scrapes them itself now", async () => {
        const known = await targetsAt(their);
        return known.every(({ health, shards: on }) => health === "up" && on?.[0] === "shard-0")
          ? await all()
          : undefined;
      });
    },
  );
});

/** Its questions, each with its first answer. */
function distinct({ exchanges }: RecordingProxy): RecordingProxy["exchanges"] {
  const seen = new Set<string>();
  return exchanges.filter(({ method, path, body }) => {
    const key = `${method} ${path} ${body}`;
    return !seen.has(key) && seen.add(key);
  });
}
