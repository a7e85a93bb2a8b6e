import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { ShardService } from "../shard/shard-service.ts";
import { parseJson } from "../shard/wire.ts";
import { KvassCoordinator } from "../sidecar/kvass-coordinator.ts";
import { PrometheusEngine } from "../sidecar/prometheus-engine.ts";
import type { PrometheusClient } from "../sidecar/prometheus-client.ts";
import { HASH_LABEL, targetsFileName } from "../sidecar/target-files.ts";
import { createHttpServer } from "./server.ts";
import { registerSidecarApi } from "./sidecar-api.ts";

interface Exchange {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body: string;
  readonly answer: string;
}

/** What a real Kvass coordinator has asked a sidecar of ours, and what it has told it (`npm run test:kvass`). */
const recorded = JSON.parse(
  readFileSync(new URL("testdata/kvass/coordinator.json", import.meta.url), "utf8"),
) as { readonly sidecar: readonly Exchange[]; readonly coordinator: readonly Exchange[] };

const dataOf = (text: string): unknown => (parseJson(text) as { data?: unknown }).data;
const told = new Map(recorded.coordinator.map(({ path, answer }) => [path, dataOf(answer)]));
const { yaml } = told.get("/api/v1/status/config") as { readonly yaml: string };
const { ConfigHash } = told.get("/api/v1/runtimeinfo") as { readonly ConfigHash: string };

interface Sidecar {
  readonly folder: string;
  readonly ask: (exchange: Omit<Exchange, "answer">) => Promise<{ code: number; data: unknown }>;
  readonly configHash: () => Promise<unknown>;
  /** What Kvass's API has; undefined while it does not answer. */
  kvass: Map<string, unknown> | undefined;
  /** Why Prometheus refuses its configuration; "" when it does not. */
  refusal: string;
}

async function start(context: TestContext): Promise<Sidecar> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-kvass-"));
  const prometheus: Record<string, unknown> = {
    "/api/v1/status/tsdb": { headStats: { numSeries: 5 } },
    "/api/v1/targets": { activeTargets: [] },
    "/api/v1/query": { result: [] },
    "/api/v1/status/buildinfo": {},
  };
  const client = {
    ask: async (path: string) => prometheus[path] ?? {},
    reload: async () => {},
    text: async () => "",
    close: async () => {},
  } as unknown as PrometheusClient;
  const engine = new PrometheusEngine({
    client,
    outputFile: join(folder, "injected.yml"),
    targetsFolder: join(folder, "targets"),
    clock: systemClock,
    logger: silentLogger,
  });
  const shard = new ShardService({
    id: "shard-0",
    folder: join(folder, "shard"),
    engine,
    headSeries: () => engine.headSeries,
    dataUntilMs: () => undefined,
    grpcAddress: () => "",
    clock: systemClock,
    logger: silentLogger,
    startedAtMs: 1,
  });
  const take = async (rawContent: string): Promise<void> => {
    if (sidecar.refusal !== "") throw new Error(sidecar.refusal);
    await shard.setConfig({ rawContent, baseFolder: folder, hash: "" });
    await engine.settled();
  };
  const kvass = new KvassCoordinator({
    client: {
      async ask(path) {
        if (sidecar.kvass === undefined) throw new Error("nobody is there");
        return sidecar.kvass.get(path);
      },
      close: async () => {},
    },
    config: () => shard.config,
    offer: take,
    logger: silentLogger,
  });
  const http = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry: new Registry(),
    ready: () => true,
  });
  registerSidecarApi(http.app, {
    shard,
    engine,
    client,
    process: undefined,
    onContact: () => {},
    offerConfig: ({ rawContent }) => take(rawContent),
    kvassConfigHash: () => kvass.configHash(),
    configText: () => "",
  });
  await engine.start();
  await shard.start();
  context.after(async () => {
    await shard.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const sidecar: Sidecar = {
    folder,
    kvass: told,
    refusal: "",
    async ask({ method, path, body }) {
      const answer = await http.app.inject({
        method,
        url: path,
        ...(body !== "" && { body, headers: { "Content-Type": "application/json" } }),
      });
      return { code: answer.statusCode, data: dataOf(answer.body) };
    },
    async configHash() {
      const path = "/api/v1/shard/runtimeinfo/";
      const { data } = await sidecar.ask({ method: "GET", path, body: "" });
      return Reflect.get(data as object, "ConfigHash");
    },
  };
  return sidecar;
}

test("a real Kvass coordinator's words make our sidecar scrape what it gives", async (context) => {
  const sidecar = await start(context);
  let hashes: string[] = [];
  for (const exchange of recorded.sidecar) {
    const { code, data } = await sidecar.ask(exchange);
    assert.equal(code, 200, `${exchange.method} ${exchange.path}`);
    if (exchange.path.endsWith("/runtimeinfo/"))
      assert.equal(Reflect.get(data as object, "ConfigHash"), ConfigHash);
    const given = [...exchange.body.matchAll(/"hash":(\d+)/g)].map((match) => match[1]!);
    if (given.length > 0) hashes = given;
  }
  assert.ok(hashes.length > 1);
  // The last words stop all scraping; every target says why.
  const status = await sidecar.ask({
    method: "GET",
    path: "/api/v1/shard/targets/status/",
    body: "",
  });
  const statuses = status.data as Record<string, { health: string; lastError: string }>;
  assert.deepEqual(Object.keys(statuses).sort(), hashes.sort());
  for (const { health, lastError } of Object.values(statuses))
    assert.deepEqual([health, lastError], ["down", "too much"]);
  await sidecar.ask({
    method: "POST",
    path: "/api/v1/status/extra_config",
    body: '{"stopScrapeReason":""}',
  });
  const groups = async (job: string): Promise<{ labels: Record<string, string> }[]> =>
    JSON.parse(await readFile(join(sidecar.folder, "targets", targetsFileName(job)), "utf8"));
  const [probe] = await groups("with parameters");
  const { labels } = probe!;
  assert.deepEqual([labels["__metrics_path__"], labels["__param_module"]], ["/probe", "default"]);
  assert.ok(hashes.includes(labels[HASH_LABEL]!));
  const plain = await groups("plain");
  assert.ok(plain.every((group) => group.labels["zone"] === "Zürich"));
  assert.ok(plain.every((group) => group.labels["__scrape_interval__"] === "1s"));

  // Kvass gives nothing anew when only a job's times change: they are worked out again here.
  const slower = yaml.replace("scrape_interval: 1s", "scrape_interval: 7s");
  sidecar.kvass = new Map([
    ["/api/v1/status/config", { yaml: slower }],
    ["/api/v1/runtimeinfo", { ConfigHash: "8" }],
  ]);
  assert.equal(await sidecar.configHash(), "8");
  assert.equal((await groups("plain"))[0]!.labels["__scrape_interval__"], "7s");
});

test("the hash is Kvass's only while its configuration runs here", async (context) => {
  const sidecar = await start(context);
  sidecar.kvass = undefined;
  assert.equal(await sidecar.configHash(), "", "nothing is known yet");
  sidecar.kvass = told;
  sidecar.refusal = "Prometheus does not like it";
  assert.equal(await sidecar.configHash(), "", "it was not taken");
  sidecar.refusal = "";
  assert.equal(await sidecar.configHash(), ConfigHash);
  sidecar.kvass = undefined;
  assert.equal(await sidecar.configHash(), ConfigHash, "what was agreed on holds");
  // A regular expression is edited: Kvass's hash stays, and it pushes nothing.
  const edited = yaml.replaceAll('regex: "0"', 'regex: "[0-5]"');
  assert.notEqual(edited, yaml);
  sidecar.kvass = new Map([...told, ["/api/v1/status/config", { yaml: edited }]]);
  assert.equal(await sidecar.configHash(), ConfigHash);
  assert.match(await readFile(join(sidecar.folder, "injected.yml"), "utf8"), /\[0-5\]/);
  // Somebody else brings another configuration.
  sidecar.kvass = undefined;
  const path = "/api/v1/status/config";
  const pushed = { method: "POST", path, body: '{"rawContent":"global: {}\\n"}' } as const;
  assert.equal((await sidecar.ask(pushed)).code, 200);
  assert.equal(await sidecar.configHash(), "");
});
