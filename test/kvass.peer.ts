/**
 * Beside a real Kvass v0.3.2 (`KVASS_BINARY=/path/kvass npm run test:kvass`): our coordinator drives its sidecars, its
 * coordinator drives ours, and our sidecar takes the place of one. With SHOAL_REWRITE=1 what was said is written down for
 * the unit tests that have no Kvass.
 */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { connectShard } from "../src/shard/control.ts";
import { adaptKvass } from "../src/shard/kvass-peer.ts";
import { converse, kvassConfig, kvassTargets } from "../src/shard/testdata/kvass-conversation.ts";
import {
  type RecordingProxy,
  recordingProxy,
  skipWithoutKvass,
  startKvass,
} from "./support/kvass.ts";
import {
  apiData,
  freePort,
  type RunningProcess,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import { startRecordingExporter } from "./support/recording-exporter.ts";
import { startBeside, startShard, value } from "./support/sidecar-shards.ts";

const SERIES = 30;
const EXPORTERS = 6;
const BODY = Array.from({ length: SERIES }, (_, i) => `work{i="${i}"} ${i}\n`).join("");
const src = join(dirname(dirname(fileURLToPath(import.meta.url))), "src");

interface Status {
  readonly lastError: string;
  readonly health: string;
  readonly series: number;
  readonly totalSeries: number;
}

interface Known extends Status {
  readonly hash?: string;
  readonly labels: Record<string, string>;
  readonly shards: readonly string[];
}

interface KvassShard {
  sidecar: RunningProcess;
  readonly prometheus: RunningProcess;
  readonly url: string;
  readonly store: string;
  readonly output: string;
}

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

/** The keys of an answer as they are written: JavaScript's numbers hold 53 bits. */
async function hashesAt(url: string): Promise<string[]> {
  const text = await (await fetch(`${url}/api/v1/shard/targets/status/`)).text();
  return [...text.matchAll(/"(\d+)":\{/g)].map((match) => match[1]!).sort();
}

async function targetsAt(url: string): Promise<Known[]> {
  const path = "/api/v1/targets?state=active";
  return (await apiData<{ activeTargets: Known[] }>(url + path)).activeTargets;
}

function record(file: string, recording: unknown): void {
  if (process.env["SHOAL_REWRITE"] !== "1") return;
  mkdirSync(dirname(join(src, file)), { recursive: true });
  writeFileSync(join(src, file), `${JSON.stringify(recording, null, 2)}\n`);
}

function configText(addresses: readonly string[], dropped: string): string {
  const list = addresses.map((address) => `"${address}"`);
  return `global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {cluster: real}}
scrape_configs:
- job_name: plain
  static_configs: [{targets: [${list.slice(0, 4).join(", ")}], labels: {zone: Zürich}}]
  metric_relabel_configs: [{source_labels: [i], regex: "${dropped}", action: drop}]
- job_name: "with parameters"
  metrics_path: /probe
  params: {module: [default, second], x: ["1"]}
  static_configs: [{targets: [${list.slice(4).join(", ")}]}]
  metric_relabel_configs: [{source_labels: [i], regex: "${dropped}", action: drop}]
`;
}

const skip = skipWithoutKvass();

describe("beside a real Kvass", () => {
  const folder = temporaryFolder("kvass");
  const running: { readonly stop: () => Promise<void> }[] = [];
  let exporters: Awaited<ReturnType<typeof startRecordingExporter>>[] = [];
  let addresses: string[] = [];

  before(async () => {
    exporters = await Promise.all(
      Array.from({ length: EXPORTERS }, () => startRecordingExporter(BODY)),
    );
    addresses = exporters.map(({ address }) => address);
  });

  after(async () => {
    for (const { stop } of running.toReversed()) await stop();
    for (const { close } of exporters) close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Kvass's sidecar in front of a real Prometheus; it takes its configuration from the coordinator. */
  async function startTheirShard(name: string): Promise<KvassShard> {
    const [store, output] = [join(folder, name), join(folder, `${name}.yml`)];
    const [api, proxy, port] = [await freePort(), await freePort(), await freePort()];
    const url = `http://127.0.0.1:${api}`;
    const starting = startKvass(
      [
        "sidecar",
        "--config.file=",
        `--config.output-file=${output}`,
        `--store.path=${store}`,
        `--web.api-addr=127.0.0.1:${api}`,
        `--web.proxy-addr=127.0.0.1:${proxy}`,
        `--inject.proxy=http://127.0.0.1:${proxy}`,
        `--prometheus.url=http://127.0.0.1:${port}`,
      ],
      url,
    );
    await until("its first configuration is there", async () => existsSync(output) || undefined);
    const prometheus = await startBeside({ output, prometheusPort: port });
    running.push(prometheus);
    const sidecar = await starting;
    running.push(sidecar);
    return { sidecar, prometheus, url, store, output };
  }

  test(
    "our coordinator says to its sidecar what it understands, word by word",
    { skip },
    async () => {
      const shard = await startTheirShard("conversation");
      const recorder = await recordingProxy(shard.url);
      running.push({ stop: async () => recorder.close() });
      const config = kvassConfig(addresses);
      const list = kvassTargets(config, addresses);
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
    "our coordinator drives its sidecars, and ours takes the place of one",
    { skip },
    async () => {
      const shards = [await startTheirShard("their-0"), await startTheirShard("their-1")];
      const configFile = join(folder, "ours.yml");
      writeFileSync(configFile, configText(addresses, "0"));
      const shardsFile = join(folder, "their-shards.yml");
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
      running.push(coordinator);
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
      writeFileSync(configFile, configText(addresses, "[01]"));
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

      // What it has written down is what our sidecar takes up in its place.
      await coordinator.stop();
      const { sidecar, store, output, prometheus } = shards[1]!;
      await sidecar.stop();
      const state = readFileSync(join(store, "kvass-shard.json"), "utf8");
      for (const hash of hashes) assert.match(state, new RegExp(`"hash":${hash}[,}]`));
      record("sidecar/testdata/kvass/state.json", {
        config: configText(addresses, "[01]"),
        hashes,
        state,
      });
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
      running.push(ours);
      assert.deepEqual(await hashesAt(ours.url), hashes, "it has them all, under the same hashes");
      await until("Prometheus scrapes them itself now", async () => {
        const status = await apiData<Record<string, Status>>(
          `${ours.url}/api/v1/shard/targets/status`,
        );
        return Object.values(status).every(({ health }) => health === "up") || undefined;
      });
    },
  );

  test("its coordinator drives our sidecars", { skip }, async () => {
    const startedMs = performance.now();
    const base = join(folder, "driven");
    mkdirSync(base);
    const configFile = join(base, "prometheus.yml");
    writeFileSync(configFile, configText(addresses, "0"));
    const port = await freePort();
    const their = `http://127.0.0.1:${port}`;
    const api = await recordingProxy(their);
    running.push({ stop: async () => api.close() });
    const proxyPort = await freePort();
    const started: RunningProcess[] = [];
    const shards = [
      await startShard(base, 0, started, [`--kvass.coordinator-url=${api.url}`]),
      await startShard(base, 1, started, [
        `--kvass.coordinator-url=${their}`,
        "--delivery=proxy",
        `--web.proxy-addr=127.0.0.1:${proxyPort}`,
      ]),
    ];
    running.push(...started);
    const recorder: RecordingProxy = await recordingProxy(`http://127.0.0.1:${shards[0]!.port}`);
    running.push({ stop: async () => recorder.close() });
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
    running.push(coordinator);
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
    for (const { requests } of exporters.slice(4))
      assert.deepEqual(
        [...new Set(requests.flatMap(({ url, timeMs }) => (timeMs > startedMs ? [url] : [])))],
        ["/probe?module=default&module=second&x=1"],
      );
    assert.ok((await ask("count(up)")).every((count) => count > 0));

    // Kvass's own hash does not see a regular expression; our sidecars do.
    writeFileSync(configFile, configText(addresses, "[01]"));
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
      const shard = await startTheirShard("replaced");
      const base = join(folder, "replacing");
      mkdirSync(base);
      const configFile = join(base, "prometheus.yml");
      writeFileSync(configFile, configText(addresses, "0"));
      const shardsFile = join(base, "shards.yml");
      writeFileSync(shardsFile, `replicas: [{shards: [{id: shard-0, url: "${shard.url}"}]}]`);
      const port = await freePort();
      const their = `http://127.0.0.1:${port}`;
      running.push(
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
        addresses,
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
      running.push(ours);
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
