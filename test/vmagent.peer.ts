/**
 * A real vmagent as the one that scrapes for a shard (`VMAGENT_BINARY=/path/vmagent npm run test:vmagent`): it asks the
 * sidecar's proxy for its targets and writes to a real Prometheus, whose samples are counted.
 */
import assert from "node:assert/strict";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  freePort,
  type RunningProcess,
  startPrometheus,
  startProgram,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import { startRecordingExporter } from "./support/recording-exporter.ts";
import { value } from "./support/sidecar-shards.ts";

const SERIES = 30;
const BODY = Array.from({ length: SERIES }, (_, i) => `work{i="${i}"} ${i}\n`).join("");

interface Known {
  readonly health: string;
  readonly lastError: string;
  readonly series: number;
  readonly totalSeries: number;
}

const program = process.env["VMAGENT_BINARY"] ?? "";
const skip = program === "" ? "skipped: VMAGENT_BINARY names no vmagent" : false;

for (const isStrict of [false, true])
  test(
    isStrict
      ? "a vmagent that refuses the configuration is told of"
      : "a vmagent scrapes through the sidecar and writes what it finds",
    { skip },
    async () => {
      const exporters = await Promise.all([1, 2, 3].map(() => startRecordingExporter(BODY)));
      const [first, second, third] = exporters.map(({ address }) => address);
      const folder = temporaryFolder("vmagent");
      const running: RunningProcess[] = [];
      try {
        const configFile = join(folder, "prometheus.yml");
        const write = (targets: readonly string[]): void =>
          writeFileSync(
            configFile,
            `global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {cluster: real}}
rule_files: [rules/*.yml]
scrape_configs:
- job_name: plain
  static_configs: [{targets: [${targets.map((each) => `"${each}"`).join(", ")}], labels: {zone: z}}]
  metric_relabel_configs: [{source_labels: [i], regex: "0", action: drop}]
- job_name: "with parameters"
  metrics_path: /probe
  params: {module: [default, second], x: ["1"]}
  static_configs: [{targets: ["${third}"]}]
`,
          );
        write([first!]);
        const sink = await startPrometheus({
          config: "",
          flags: ["--web.enable-remote-write-receiver"],
        });
        assert.ok(sink !== undefined, "the sink is a real Prometheus");
        running.push(sink);
        const output = join(folder, "injected.yml");
        const [agentPort, proxyPort, port] = [await freePort(), await freePort(), await freePort()];
        const starting = startShoal({
          args: [
            "sidecar",
            `--store.path=${join(folder, "store")}`,
            `--config.output-file=${output}`,
            `--prometheus.url=http://127.0.0.1:${agentPort}`,
            "--delivery=proxy",
            `--web.proxy-addr=127.0.0.1:${proxyPort}`,
            "--shard.fetch-head-series=false",
          ],
          port,
        });
        await until(
          "the first configuration is there",
          async () => existsSync(output) || undefined,
        );
        const agent = await startProgram(
          program,
          [
            `-promscrape.config=${output}`,
            `-promscrape.config.strictParse=${isStrict}`,
            "-promscrape.fileSDCheckInterval=1s",
            `-httpListenAddr=127.0.0.1:${agentPort}`,
            `-remoteWrite.url=${sink.url}/api/v1/write`,
            `-remoteWrite.tmpDataPath=${join(folder, "queue")}`,
          ],
          { url: `http://127.0.0.1:${agentPort}` },
        );
        running.push(agent);
        const sidecar = await starting;
        running.push(sidecar);
        const coordinator = await startShoal({
          args: [
            "coordinator",
            `--config.file=${configFile}`,
            `--shard.url=${sidecar.url}`,
            "--coordinator.interval=1s",
            "--web.enable-lifecycle",
            "--web.enable-admin-api",
          ],
        });
        running.push(coordinator);
        if (isStrict) {
          await until("it is said that the agent refuses", async () => {
            const { shards } = await apiData<{ shards: { state: string; error: string }[] }>(
              `${coordinator.url}/api/v1/shards`,
            );
            return /strictParse=false/.test(shards[0]?.error ?? "") || undefined;
          });
          return;
        }
        const targets = async (): Promise<Known[]> =>
          (
            await apiData<{ activeTargets: Known[] }>(
              `${coordinator.url}/api/v1/targets?state=active`,
            )
          ).activeTargets;
        const scraped = async (count: number): Promise<true | undefined> =>
          (await value(sink.url, "count(up == 1)")) === count || undefined;
        await until("both targets' samples arrive", () => scraped(2));
        assert.equal(await value(sink.url, 'count(work{cluster="real"})'), 2 * SERIES - 1);
        assert.equal(await value(sink.url, 'count(work{zone="z",job="plain"})'), SERIES - 1);
        const known = await until("the coordinator knows that both are up", async () => {
          const all = await targets();
          return all.every(({ health }) => health === "up") ? all : undefined;
        });
        assert.deepEqual(
          known.map(({ series, totalSeries }) => [series, totalSeries]),
          [
            [SERIES - 1, SERIES],
            [SERIES, SERIES],
          ],
        );
        const runtime = await apiData<{ headSeries: number; processSeries: number }>(
          `${sidecar.url}/api/v1/shard/runtimeinfo`,
        );
        assert.deepEqual([runtime.headSeries, runtime.processSeries], [2 * SERIES - 1, 2 * SERIES]);
        assert.deepEqual(
          [...new Set(exporters[2]!.requests.map(({ url }) => url))],
          ["/probe?module=default&module=second&x=1"],
        );

        // Targets come and go without a reload.
        write([second!]);
        await fetch(`${coordinator.url}/-/reload`, { method: "POST" });
        await until("the other target's samples arrive", async () =>
          (await value(sink.url, `up{instance="${second}"}`)) === 1 ? true : undefined,
        );
        await until("the first is gone", async () =>
          Number.isNaN(await value(sink.url, `up{instance="${first}"}`)) ? true : undefined,
        );

        // The emergency switch.
        const stop = async (stopScrapeReason: string): Promise<void> => {
          const response = await fetch(`${coordinator.url}/api/v1/status/extra_config`, {
            method: "POST",
            headers: { "Content-Type": "application/json" },
            body: JSON.stringify({ stopScrapeReason }),
          });
          assert.equal(response.status, 200, await response.text());
        };
        await stop("too much");
        await until("nothing is scraped, and it is said why", async () =>
          (await targets()).every(
            ({ health, lastError }) => health === "down" && lastError === "too much",
          )
            ? true
            : undefined,
        );
        await until("the series have ended", async () =>
          Number.isNaN(await value(sink.url, "count(work)")) ? true : undefined,
        );
        await stop("");
        await until("all are scraped again", () => scraped(2));
      } finally {
        for (const { stop } of running.toReversed()) await stop();
        for (const { close } of exporters) close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
