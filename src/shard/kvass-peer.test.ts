import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { describe, it, type TestContext } from "node:test";
import { PLAIN_JOB } from "../model/target-build.fixture.ts";
import { buildTarget } from "../model/target-build.ts";
import type { Target } from "../model/target.ts";
import { connectShard, type ShardControl } from "./control.ts";
import { adaptKvass } from "./kvass-peer.ts";
import { NO_LOAD } from "./load.ts";
import type { AssignedTarget } from "./wire.ts";

/** A sidecar that answers as Kvass v0.3.2 does: bare 64-bit hashes, a configuration hash of its own, no assignment. */
interface Sidecar {
  readonly control: ShardControl;
  readonly again: () => ShardControl;
  readonly posts: { path: string; body: string }[];
  configHash: string;
  /** With a file of its own it takes no configuration. */
  hasFile: boolean;
  file: string;
  /** It forgets this when it restarts. */
  stop: string;
  /** hash → TargetState. */
  targets: Map<string, string>;
}

async function start(context: TestContext, discovered: readonly Target[] = []): Promise<Sidecar> {
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = request.url ?? "";
    let body = "";
    for await (const piece of request) body += String(piece);
    const answer = (data?: string): void => {
      response.end(`{"status":"success"${data === undefined ? "" : `,"data":${data}`}}`);
    };
    if (path === "/api/v1/status/extra_config/" && request.method === "POST")
      sidecar.stop = (JSON.parse(body) as { stopScrapeReason: string }).stopScrapeReason;
    else if (request.method === "POST") sidecar.posts.push({ path, body });
    if (path === "/api/v1/status/extra_config/") {
      answer(`{"json":${JSON.stringify(JSON.stringify({ stopScrapeReason: sidecar.stop }))}}`);
      return;
    }
    if (path === "/api/v1/shard/runtimeinfo/")
      answer(`{"headSeries":3,"processSeries":4,"ConfigHash":"${sidecar.configHash}"}`);
    else if (path === "/api/v1/shard/targets/status/") {
      const entries = [...sidecar.targets].map(
        ([hash, state]) =>
          `"${hash}":{"lastError":"","lastScrape":"2026-01-02T03:04:05.123456789Z","lastScrapeDuration":0.5,"health":"up","series":10,"totalSeries":11,"TargetState":"${state}","ScrapeTimes":2,"shards":null}`,
      );
      answer(`{${entries.join(",")}}`);
    } else if (path === "/api/v1/shard/targets/") {
      // Go reads the hash as a number and the rest as text.
      const hashes = [...body.matchAll(/"hash":(\d+),/g)].map((match) => match[1]!);
      sidecar.targets = new Map(hashes.map((hash) => [hash, ""]));
      answer();
    } else if (path === "/api/v1/status/config/" && request.method === "GET")
      answer(JSON.stringify({ yaml: sidecar.file }));
    else if (path === "/api/v1/status/config/" && sidecar.hasFile) {
      response.statusCode = 400;
      response.end('{"status":"error","errorType":"bad_data","error":"config file is set"}');
    } else if (path === "/api/v1/status/config/") {
      sidecar.configHash = String(Number(sidecar.configHash) + 1);
      answer();
    } else response.writeHead(404).end("404 page not found");
  };
  const server = createServer((request, response) => void serve(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const url = `http://127.0.0.1:${address.port}`;
  const controls: ShardControl[] = [];
  const again = (): ShardControl => {
    const control = adaptKvass(connectShard(url), () => discovered);
    controls.push(control);
    return control;
  };
  context.after(() => {
    for (const control of controls) control.close();
    server.closeAllConnections();
    server.close();
  });
  const sidecar: Sidecar = {
    control: again(),
    again,
    posts: [],
    configHash: "1241054366830102733",
    hasFile: false,
    file: "",
    stop: "",
    targets: new Map(),
  };
  return sidecar;
}

function assigned(labels: Record<string, string> = {}): AssignedTarget {
  const job = { ...PLAIN_JOB, jobName: "j", scrapeIntervalMs: 15_000 };
  const result = buildTarget({ labels: { __address__: "a:1", ...labels } }, job);
  assert.ok(result.kind === "target");
  return { target: result.target, state: "normal", assignedAtMs: 1_700_000_000_000, load: NO_LOAD };
}

const CONFIG = { rawContent: "global: {}\n", baseFolder: "/b", hash: "ours" };

describe("a Kvass sidecar as a shard", () => {
  it("runs our configuration once it has taken it, under its own hash", async (context) => {
    const sidecar = await start(context);
    const { control } = sidecar;
    assert.equal((await control.runtime(1)).configHash, "");
    await control.pushConfig(CONFIG, 1);
    assert.deepEqual(JSON.parse(sidecar.posts[0]!.body), CONFIG);
    assert.equal((await control.runtime(1)).configHash, "ours");
    // It restarts with its built-in configuration.
    sidecar.configHash = "7";
    assert.equal((await control.runtime(1)).configHash, "");
    await control.pushConfig(CONFIG, 1);
    assert.equal((await control.runtime(1)).configHash, "ours");
    // Only a regular expression has changed: its hash stays, ours does not.
    await control.pushConfig({ ...CONFIG, hash: "newer" }, 1);
    sidecar.configHash = "8";
    assert.equal((await control.runtime(1)).configHash, "newer");
  });

  it("runs our configuration when its own file says the same", async (context) => {
    const sidecar = await start(context);
    const { control } = sidecar;
    sidecar.hasFile = true;
    sidecar.file = "global: {scrape_interval: 5s}\n";
    await control.runtime(1);
    await assert.rejects(control.pushConfig(CONFIG, 1), {
      code: "bad-data",
      message: /a file of its own .* says something else/,
    });
    assert.equal((await control.runtime(1)).configHash, "");
    sidecar.file = "global:\n  external_labels: {replica: one}\n";
    await control.pushConfig(CONFIG, 1);
    assert.equal((await control.runtime(1)).configHash, "ours");
    // Its file changes.
    sidecar.configHash = "7";
    assert.equal((await control.runtime(1)).configHash, "");
  });

  it("gets 64-bit hashes as bare numbers, also beside a label of that name", async (context) => {
    const sidecar = await start(context);
    const { control } = sidecar;
    const entry = assigned({ hash: "123", note: '{"hash":"5","labels":{' });
    await control.runtime(1);
    await control.pushTargets([entry], 1);
    const { body } = sidecar.posts[0]!;
    assert.match(body, new RegExp(`{"hash":${entry.target.hash},"labels":{`));
    assert.match(body, /"hash":"123"/);
    assert.doesNotThrow(() => JSON.parse(body));
    const statuses = await control.status();
    const status = statuses.get(entry.target.hash);
    assert.equal(status?.assignedAtMs, entry.assignedAtMs, "it is known when it was given");
    assert.deepEqual([status.health, status.load.series, status.load.rawSeries], ["up", 10, 11]);
    assert.deepEqual(
      (await control.assignment()).map(({ target }) => target),
      [entry.target],
    );
  });

  it("is told to stop, again after it has forgotten, and found stopped by a later coordinator", async (context) => {
    const sidecar = await start(context);
    const { control } = sidecar;
    const told = async (one = control): Promise<unknown[]> => {
      const { stopReason, stopOrder } = await one.runtime(1);
      return [stopReason, stopOrder?.reason, stopOrder?.sinceMs];
    };
    assert.deepEqual(await told(), ["", undefined, undefined]);
    await control.pushStop({ reason: "too much", sinceMs: 9 }, 1);
    assert.equal(sidecar.stop, "too much");
    assert.deepEqual(await told(), ["too much", "too much", 9]);
    assert.deepEqual(await told(sidecar.again()), ["too much", "too much", 1]);
    sidecar.stop = "";
    assert.deepEqual(await told(), ["", undefined, undefined], "so it is told again");
    await control.pushStop({ reason: "", sinceMs: 10 }, 1);
    assert.deepEqual(await told(), ["", "", 10]);
  });

  it("is known by what discovery has found after a restart of the coordinator", async (context) => {
    const entry = assigned();
    const sidecar = await start(context, [entry.target]);
    sidecar.targets = new Map([
      [entry.target.hash, "in_transfer"],
      ["999", ""],
    ]);
    const control = sidecar.again();
    await control.runtime(1);
    const [found, ...others] = await control.assignment();
    assert.deepEqual([found?.target, found?.state, others], [entry.target, "in_transfer", []]);
    assert.equal((await control.status()).get(entry.target.hash)?.assignedAtMs, 0);
  });
});
