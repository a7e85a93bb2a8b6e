import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  freePort,
  partPath,
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import { value } from "./support/sidecar-shards.ts";

/**
 * What goes from targets into a real Prometheus, directly and through the sidecar's proxy: protobuf with native
 * histograms, names in quotes, parameters that relabelling has set, credentials; and nothing of a body that breaks off.
 */

interface Known {
  readonly labels: Record<string, string>;
  readonly scrapeUrl: string;
  readonly health: string;
  readonly lastError: string;
  readonly series: number;
  readonly totalSeries: number;
}

const SECRET = "canary-2b9f7d30";

async function serve(listener: RequestListener, servers: Server[]): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return `127.0.0.1:${address.port}`;
}

for (const delivery of ["direct", "proxy"] as const)
  test(
    `a real Prometheus gets from targets what they have: ${delivery} delivery`,
    { skip: skipWithoutParts() },
    async () => {
      const folder = temporaryFolder("delivery");
      const servers: Server[] = [];
      const running: RunningProcess[] = [];
      const text = { "Content-Type": "text/plain; version=1.0.0; escaping=allow-utf-8" };
      try {
        const quoted = await serve((_request, response) => {
          response.writeHead(200, text);
          response.end('{"my.metric","a.b"="1"} 1\n{"my.metric","a.b"="2"} 2\nplain{zone="x"} 3\n');
        }, servers);
        const dying = await serve((_request, response) => {
          response.writeHead(200, { ...text, "Content-Length": "10000" });
          response.write("half 1\n", () => response.destroy());
        }, servers);
        const authorization = `Basic ${Buffer.from(`u:${SECRET}`).toString("base64")}`;
        const blackbox = await serve((asked, response) => {
          if (asked.headers.authorization !== authorization) response.writeHead(401).end();
          else {
            const url = new URL(asked.url ?? "", "http://x");
            response.writeHead(200, text);
            response.end(`probe{module="${url.searchParams.getAll("module").join()}"} 1\n`);
          }
        }, servers);
        // Its own metrics have native histograms for those who ask for protobuf.
        const native = await startPrometheus({ config: "" });
        assert.ok(native !== undefined);
        running.push(native);
        await fetch(`${native.url}/api/v1/query?query=1`);
        const configFile = join(folder, "prometheus.yml");
        writeFileSync(
          configFile,
          `global: {scrape_interval: 1s, scrape_timeout: 900ms}
scrape_configs:
- job_name: quoted
  static_configs: [{targets: ["${quoted}"], labels: {zone: z}}]
  metric_relabel_configs: [{source_labels: [zone, exported_zone], regex: "z;x", action: drop}]
- job_name: dying
  static_configs: [{targets: ["${dying}"]}]
- job_name: blackbox
  basic_auth: {username: u, password: ${SECRET}}
  params: {module: [default, second]}
  static_configs: [{targets: ["${blackbox}"], labels: {kind: special}}]
  relabel_configs: [{source_labels: [kind], target_label: __param_module}]
- job_name: native
  scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]
  static_configs: [{targets: ["${native.url.slice("http://".length)}"]}]
`,
        );
        const [port, grpcPort, proxyPort] = [await freePort(), await freePort(), await freePort()];
        const store = join(folder, "store");
        const sidecar = await startShoal({
          args: [
            "sidecar",
            `--store.path=${store}`,
            `--config.output-file=${join(folder, "injected.yml")}`,
            `--prometheus.binary=${partPath("prometheus")}`,
            "--prometheus.args=--enable-feature=native-histograms",
            `--grpc-address=127.0.0.1:${grpcPort}`,
            `--delivery=${delivery}`,
            `--web.proxy-addr=127.0.0.1:${proxyPort}`,
            "--shard.replica=one",
            "--shard.self-monitor",
            "--log.level=warn",
          ],
          port,
        });
        running.push(sidecar);
        const coordinator = await startShoal({
          args: [
            "coordinator",
            `--config.file=${configFile}`,
            `--shard.url=${sidecar.url}`,
            "--coordinator.interval=1s",
          ],
        });
        running.push(coordinator);
        const targets = async (): Promise<Map<string, Known>> => {
          const { activeTargets } = await apiData<{ activeTargets: Known[] }>(
            `${coordinator.url}/api/v1/targets?state=active`,
          );
          return new Map(activeTargets.map((each) => [each.labels["job"] ?? "", each]));
        };
        const known = await until("all targets were scraped", async () => {
          const all = await targets();
          const health = [...all].map(([job, each]) => `${job} ${each.health}`).sort();
          return health.join() === "blackbox up,dying down,native up,quoted up" ? all : undefined;
        });

        // The sidecar's façade answers for its Prometheus.
        const ask = (query: string): Promise<number> => value(sidecar.url, query);
        assert.equal(await ask('up{job="dying"}'), 0);
        assert.ok(Number.isNaN(await ask("half")), "nothing of a body that breaks off is stored");
        assert.match(known.get("dying")!.lastError, /EOF/);
        assert.equal(await ask('count({"my.metric","a.b"=~".+"})'), 2);
        assert.ok(Number.isNaN(await ask("plain")), "relabelling sees the target's labels");
        assert.deepEqual(
          [known.get("quoted")!.series, known.get("quoted")!.totalSeries],
          [2, 3],
          "quoted names are counted",
        );
        assert.equal(await ask('count(probe{module="special,second"})'), 1);
        await until("a native histogram is stored", async () =>
          (await ask("count(histogram_count(prometheus_http_request_duration_seconds) > 0)")) > 0
            ? true
            : undefined,
        );
        // What the load is taken from is what Prometheus itself counts.
        for (const [job, { series, totalSeries }] of await targets()) {
          if (job === "dying") continue;
          const scraped = await ask(`scrape_samples_scraped{job="${job}"}`);
          const kept = await ask(`scrape_samples_post_metric_relabeling{job="${job}"}`);
          const message = `${job}: ${series} of ${totalSeries}, Prometheus ${kept} of ${scraped}`;
          assert.ok(Math.abs(totalSeries - scraped) <= 20, message);
          assert.ok(Math.abs(series - kept) <= 20, message);
        }
        await until("Prometheus scrapes itself", async () =>
          (await ask('up{job="prometheus_shards",replicate="shard-0",shard="0"}')) === 1
            ? true
            : undefined,
        );
        const yaml = readFileSync(join(folder, "injected.yml"), "utf8");
        assert.match(yaml, /external_labels: \{replica: one\}/);
        assert.equal(yaml.includes(SECRET), delivery === "direct");

        const samples = await apiData<Record<string, { scrapedTotal: number; total: number }>>(
          `${sidecar.url}/api/v1/shard/samples?job=quot&with_metrics_detail=true`,
        );
        assert.deepEqual(Object.keys(samples), ["quoted"]);
        assert.deepEqual([samples["quoted"]!.scrapedTotal, samples["quoted"]!.total], [2, 3]);

        if (delivery === "proxy") {
          const { scrapeUrl } = known.get("blackbox")!;
          const answer = await proxied(proxyPort, `${scrapeUrl}&_hash=1&_jobName=blackbox`);
          assert.equal(answer, 403);
        }
        for (const { output } of running) assert.ok(!output().includes(SECRET));
      } finally {
        await Promise.all(running.map(async ({ stop }) => stop()));
        for (const server of servers) {
          server.closeAllConnections();
          server.close();
        }
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );

/** The status that the proxy gives for a whole URL. */
async function proxied(port: number, url: string): Promise<number> {
  const asked = request({ host: "127.0.0.1", port, path: url }).end();
  const [response] = (await once(asked, "response")) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode;
}
