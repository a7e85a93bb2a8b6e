import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  type RunningProcess,
  skipWithoutParts,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import {
  type Active,
  activeTargets,
  shardsFile,
  type Shard,
  startShard,
  value,
} from "./support/sidecar-shards.ts";

/**
 * Real Prometheus servers as shards: each has a sidecar, one coordinator spreads the targets over them, one query sees
 * all. The targets want a password that only the configuration holds.
 */
const SECRET = "canary-7f3a9c51";
const SERIES = 50;

interface Exporter {
  readonly server: Server;
  readonly address: string;
  readonly asked: Set<string>;
}

async function startExporter(): Promise<Exporter> {
  const asked = new Set<string>();
  const authorization = `Basic ${Buffer.from(`scraper:${SECRET}`).toString("base64")}`;
  const body = Array.from({ length: SERIES }, (_, i) => `work{i="${i}"} ${i}\n`).join("");
  const server = createServer((request, response) => {
    asked.add(request.url ?? "");
    if (request.headers.authorization !== authorization) response.writeHead(401).end();
    else response.setHeader("Content-Type", "text/plain; version=0.0.4").end(body);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, address: `127.0.0.1:${address.port}`, asked };
}

/** Everything that makes labels and URLs differ from what a job's defaults would give. */
function configText(options: { zone: string; dropped: string }): string {
  return `# the operator's file
global:
  scrape_interval: 1s
  scrape_timeout: 900ms
  external_labels: {cluster: "real"}
rule_files: [rules/*.yml]
scrape_configs:
  - job_name: "work: one/two"
    basic_auth: {username: scraper, password: ${SECRET}} # never shown
    params: {module: [default, second], x: ["1"]}
    file_sd_configs: [{files: [targets.json], refresh_interval: 1s}]
    relabel_configs:
      - {source_labels: [module], regex: (.+), target_label: __param_module}
      - {source_labels: [kind], regex: nojob, target_label: job, replacement: ""}
      - {source_labels: [kind], regex: ${options.zone}, target_label: zone, replacement: "z-$0"}
      - {source_labels: [kind], regex: slow, target_label: __scrape_interval__, replacement: 2s}
    metric_relabel_configs:
      - {source_labels: [i], regex: "${options.dropped}", action: drop}
`;
}

async function reloads(shards: readonly Shard[]): Promise<number[]> {
  return Promise.all(
    shards.map(async ({ prometheus }) => {
      const text = await (await fetch(`${prometheus.url}/metrics`)).text();
      const all = text.matchAll(
        /^prometheus_http_requests_total\{.*handler="\/-\/reload"\} (\d+)/gm,
      );
      return [...all].reduce((sum, [, count]) => sum + Number(count), 0);
    }),
  );
}

const byUrl = (a: Active, b: Active): number => (a.scrapeUrl < b.scrapeUrl ? -1 : 1);
const shown = ({ labels, scrapeUrl }: Active): unknown => ({ labels, scrapeUrl });

test(
  "a coordinator shards over real Prometheus servers",
  { skip: skipWithoutParts() },
  async () => {
    const folder = temporaryFolder("sidecar");
    const exporters = await Promise.all([1, 2, 3, 4, 5].map(startExporter));
    const kinds = ["plain", "nojob", "slow", "plain", "late"];
    const configFile = join(folder, "prometheus.yml");
    const writeTargets = (count: number, from = 0): void => {
      const groups = exporters.slice(from, from + count).map(({ address }, i) => ({
        targets: [address],
        labels: { kind: kinds[from + i], ...(i === 0 && { module: "own" }) },
      }));
      writeFileSync(join(folder, "targets.json"), JSON.stringify(groups));
    };
    mkdirSync(join(folder, "rules"));
    writeFileSync(
      join(folder, "rules", "some.yml"),
      "groups: [{name: g, rules: [{record: work:count, expr: count(work)}]}]",
    );
    writeFileSync(configFile, configText({ zone: "plain", dropped: "0" }));
    writeTargets(4);
    const running: RunningProcess[] = [];
    try {
      const shards = await Promise.all([0, 1].map((i) => startShard(folder, i, running)));
      const coordinator = await startShoal({
        args: [
          "coordinator",
          `--config.file=${configFile}`,
          `--shard.static-file=${shardsFile(folder, shards)}`,
          "--coordinator.interval=1s",
          "--shard.max-series=1000",
          "--web.enable-lifecycle",
        ],
      });
      const query = await startShoal({
        args: ["query", ...shards.map(({ grpc }) => `--endpoint=${grpc}`)],
      });
      running.push(coordinator, query);

      const onAll = async (): Promise<Active[]> =>
        (await Promise.all(shards.map(({ prometheus }) => activeTargets(prometheus.url)))).flat();
      const scraped = async (count: number): Promise<Active[] | undefined> => {
        const all = await onAll();
        return all.length === count && all.every(({ health }) => health === "up") ? all : undefined;
      };

      // Every target on exactly one server, with the labels and the URL that the coordinator computed.
      const first = await until("4 targets are up", () => scraped(4), 30_000);
      const planned = await activeTargets(coordinator.url);
      assert.deepEqual(first.sort(byUrl).map(shown), planned.sort(byUrl).map(shown));
      assert.equal(new Set(first.map(({ scrapeUrl }) => scrapeUrl)).size, 4);
      const slow = first.find(({ labels }) => labels["kind"] === "slow");
      assert.equal(slow?.scrapeInterval, "2s");
      assert.ok(!first.some(({ labels }) => labels["kind"] === "nojob" && "job" in labels));
      assert.deepEqual([...exporters[0]!.asked], ["/metrics?module=own&module=second&x=1"]);
      for (const { prometheus } of shards)
        assert.equal((await activeTargets(prometheus.url)).length, 2, "the load is spread");

      // One query over all; metric_relabel_configs were applied, the rules found.
      await until("all series are seen", async () =>
        (await value(query.url, "count(work)")) === 4 * (SERIES - 1) ? true : undefined,
      );
      assert.equal(await value(query.url, "sum(up)"), 4);
      assert.equal(await value(query.url, 'count(work{cluster="real"})'), 4 * (SERIES - 1));
      assert.equal(
        await value(query.url, "sum(sum_over_time(work[1h]) > bool 0)"),
        4 * (SERIES - 1),
      );
      const zones = await apiData<string[]>(`${query.url}/api/v1/label/zone/values`);
      assert.deepEqual(zones, ["z-plain"]);
      for (const { prometheus } of shards) {
        const rules = await apiData<{ groups: unknown[] }>(`${prometheus.url}/api/v1/rules`);
        assert.equal(rules.groups.length, 1);
      }

      // Targets come and go, and labels change, without a reload.
      const before = await reloads(shards);
      assert.deepEqual(before, [1, 1]);
      writeTargets(4, 1);
      const changed = await until("the first target left, another came", async () => {
        const all = await scraped(4);
        return all?.some(({ labels }) => labels["kind"] === "late") ? all : undefined;
      });
      assert.equal(new Set(changed.map(({ scrapeUrl }) => scrapeUrl)).size, 4);
      writeFileSync(configFile, configText({ zone: "slow|late", dropped: "0" }));
      await fetch(`${coordinator.url}/-/reload`, { method: "POST" });
      await until(
        "the edited regular expression is everywhere",
        async () => {
          const all = await scraped(4);
          const now = all?.map(({ labels }) => labels["zone"] ?? "").sort();
          return now?.join() === ",,z-late,z-slow" ? true : undefined;
        },
        20_000,
      );
      assert.deepEqual(await reloads(shards), before);

      // A sidecar that is killed takes nothing along, and goes on where it was.
      const victim = shards[0]!;
      victim.sidecar.child.kill("SIGKILL");
      await once(victim.sidecar.child, "exit");
      writeFileSync(configFile, configText({ zone: "slow|late", dropped: "[01]" }));
      await fetch(`${coordinator.url}/-/reload`, { method: "POST" });
      victim.sidecar = await startShoal({ args: victim.args, port: victim.port });
      running.push(victim.sidecar);
      // Prometheus tells the second of a reload: a sidecar that starts within it reloads what it ran once more.
      await until("both run the new configuration", async () =>
        ["2,2", "3,2"].includes((await reloads(shards)).join()) ? true : undefined,
      );
      assert.equal((await onAll()).length, 4);
      await until("a dropped series is gone", async () =>
        (await value(query.url, "count(work)")) === 4 * (SERIES - 2) ? true : undefined,
      );

      // The emergency switch.
      const control = `http://127.0.0.1:${victim.port}`;
      const stop = await fetch(`${control}/api/v1/status/extra_config`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ stopScrapeReason: "too much" }),
      });
      assert.equal(stop.status, 200);
      const status = await apiData<Record<string, { lastError: string; health: string }>>(
        `${control}/api/v1/shard/targets/status`,
      );
      assert.ok(Object.values(status).length > 0);
      for (const { lastError, health } of Object.values(status))
        assert.deepEqual([lastError, health], ["too much", "down"]);

      // The façade: the original configuration, the rest of Prometheus, and nothing that changes it.
      const { yaml } = await apiData<{ yaml: string }>(`${control}/api/v1/status/config`);
      assert.match(yaml, /relabel_configs/);
      assert.match(yaml, /password: <secret>/);
      const flags = await apiData<Record<string, string>>(`${control}/api/v1/status/flags`);
      assert.equal(flags["web.enable-lifecycle"], "true");
      const posted = await fetch(`${control}/api/v1/query`, {
        method: "POST",
        body: new URLSearchParams({ query: "count(up)" }),
      });
      assert.equal(posted.status, 200);
      for (const path of ["/api/v1/admin/tsdb/snapshot", "/api/v1/query/../write", "/-/quit"])
        assert.ok(
          [403, 405].includes((await fetch(control + path, { method: "POST" })).status),
          path,
        );
      assert.equal((await fetch(`${control}/debug/pprof/cmdline`)).status, 405);
      const foreign = { method: "POST", headers: { Origin: "http://evil.example" } };
      assert.equal((await fetch(`${control}/-/reload`, foreign)).status, 403);

      // The password is nowhere but in the files.
      const answers = await Promise.all(
        [
          `${control}/api/v1/status/config`,
          `${control}/api/v1/shard/runtimeinfo`,
          `${control}/api/v1/shard/assignment`,
          `${control}/api/v1/targets`,
          `${control}/metrics`,
          `${coordinator.url}/api/v1/status/config`,
          `${coordinator.url}/api/v1/shards`,
          `${query.url}/api/v1/stores`,
        ].map(async (url) => (await fetch(url)).text()),
      );
      for (const text of [...answers, ...running.map(({ output }) => output())])
        assert.ok(!text.includes(SECRET), "no secret is shown");
    } finally {
      await Promise.all(running.map(async ({ stop }) => stop()));
      for (const { server } of exporters) {
        server.closeAllConnections();
        server.close();
      }
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
