import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../base/clock.ts";
import { createLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { Secret } from "../config/secret.ts";
import type { DiscoveryConfig, HttpClientConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import { DiscoveryManager, type DiscoveryJob, type DiscoverySnapshot } from "./manager.ts";

/** Time that moves only when told to. */
class ManualClock implements Clock {
  #now = 1000;
  #timers: { at: number; run: () => void }[] = [];

  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((one) => one !== timer));
  }
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.after(delayMs, resolve);
      signal?.addEventListener("abort", () => {
        cancel();
        reject(signal.reason);
      });
    });
  }
  /** Runs what is due within `ms`, letting promises settle in between. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      for (let i = 0; i < 20; i++) await Promise.resolve();
      const due = this.#timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers = this.#timers.filter((timer) => timer !== due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }
}

/** An http_sd server without a network: each URL answers with its list, or fails. */
class Lists {
  readonly lists = new Map<string, string[] | Error>();
  /** Answers of other servers, by URL. */
  readonly answers = new Map<string, unknown>();
  requests: string[] = [];

  client(): HttpClient {
    return {
      request: ({ url }) => {
        this.requests.push(url);
        const list = this.lists.get(url) ?? new Error("unknown list");
        const answer = this.answers.get(url);
        if (answer === undefined && list instanceof Error) return Promise.reject(list);
        const text = JSON.stringify(answer ?? [{ targets: list }]);
        return Promise.resolve({
          status: 200,
          statusText: "OK",
          headers: { get: (name) => (name === "content-type" ? "application/json" : undefined) },
          body: once(new TextEncoder().encode(text)),
          finalUrl: url,
        });
      },
      close: () => Promise.resolve(),
    };
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

const HTTP_CLIENT = { headers: {} } as unknown as HttpClientConfig;

function httpList(url: string, password = ""): DiscoveryConfig {
  const httpClient = {
    ...HTTP_CLIENT,
    basicAuth: {
      username: "u",
      usernameFile: "",
      password: new Secret(password),
      passwordFile: "",
    },
  };
  return { kind: "http", url, refreshIntervalMs: 60_000, httpClient };
}

function consulServices(...services: string[]): DiscoveryConfig {
  return {
    kind: "consul",
    server: "c",
    scheme: "http",
    pathPrefix: "",
    token: Secret.NONE,
    datacenter: "d",
    namespace: "",
    partition: "",
    tagSeparator: ",",
    allowStale: true,
    refreshIntervalMs: 30_000,
    services,
    tags: [],
    nodeMeta: {},
    filter: "",
    healthFilter: "",
    httpClient: HTTP_CLIENT,
  };
}

function statics(...targets: string[]): DiscoveryConfig {
  return { kind: "static", groups: [{ targets, labels: {} }] };
}

function job(jobName: string, ...serviceDiscovery: DiscoveryConfig[]): DiscoveryJob {
  return { jobName, serviceDiscovery };
}

function setUp() {
  const clock = new ManualClock();
  const lists = new Lists();
  const registry = new Registry();
  const log: string[] = [];
  const manager = new DiscoveryManager({
    clock,
    registry,
    logger: createLogger({ write: (line) => void log.push(line) }),
    httpClientFactory: () => lists.client(),
  });
  const deliveries: DiscoverySnapshot[] = [];
  manager.onUpdate((snapshot) => void deliveries.push(snapshot));
  const last = (name: string) => deliveries.at(-1)?.get(name);
  const addresses = (name: string): string[] =>
    (last(name)?.groups ?? []).flatMap((group) =>
      group.targets.map((target) => target["__address__"]!),
    );
  return { clock, lists, registry, log, manager, deliveries, last, addresses };
}

test("static targets are there at once, in one delivery for all jobs", async () => {
  const { clock, manager, deliveries, addresses, last, registry } = setUp();
  manager.apply([job("a", statics("h:1", "h:2")), job("b", statics("h:3")), job("none")]);
  assert.equal(deliveries.length, 0, "nothing runs before start");
  manager.start();
  await clock.advance(0);
  assert.equal(deliveries.length, 1);
  assert.deepEqual(addresses("a"), ["h:1", "h:2"]);
  assert.deepEqual(addresses("b"), ["h:3"]);
  assert.deepEqual(last("none"), { groups: [], complete: true, errors: [] });
  assert.match(
    registry.expose(),
    /prometheus_sd_discovered_targets\{config="a",name="scrape"\} 2\n/,
  );
  await manager.stop();
});

test("a job is shown as soon as all its mechanisms answered, changes every five seconds", async () => {
  const { clock, lists, manager, deliveries, addresses, last } = setUp();
  lists.lists.set("http://one/", ["h:1"]);
  manager.apply([job("a", httpList("http://one/"), statics("h:9"))]);
  manager.start();
  await clock.advance(0);
  assert.deepEqual(addresses("a"), ["h:1", "h:9"]);
  assert.equal(last("a")?.complete, true);
  const before = deliveries.length;
  lists.lists.set("http://one/", ["h:1", "h:2"]);
  await clock.advance(59_000);
  assert.equal(deliveries.length, before, "nothing changed, nothing is delivered");
  await clock.advance(1000);
  assert.equal(deliveries.length, before + 1);
  assert.deepEqual(addresses("a"), ["h:1", "h:2", "h:9"]);
  await manager.stop();
});

test("a list that says the same again is no change, in a changed one the rest stays", async () => {
  const { clock, lists, manager, deliveries, last } = setUp();
  lists.lists.set("http://one/", ["h:1", "h:2"]);
  manager.apply([job("a", httpList("http://one/")), job("b", statics("h:9"))]);
  manager.start();
  await clock.advance(0);
  const before = deliveries.length;
  const [a, b] = [last("a"), last("b")];
  await clock.advance(300_000);
  assert.equal(deliveries.length, before);
  lists.lists.set("http://one/", ["h:2"]);
  await clock.advance(66_000);
  assert.equal(last("a")?.groups[0]?.targets[0], a?.groups[0]?.targets[1]);
  assert.equal(last("b"), b);
  await manager.stop();
});

test("many changes within five seconds come together", async () => {
  const { clock, lists, manager, deliveries } = setUp();
  const urls = Array.from({ length: 10 }, (_, i) => `http://list-${i}/`);
  for (const url of urls) lists.lists.set(url, ["h:1"]);
  manager.apply(urls.map((url) => job(url, httpList(url))));
  manager.start();
  await clock.advance(1000);
  const before = deliveries.length;
  assert.ok(before <= 2);
  // Ten refreshes at 60 s: the first is delivered, or all are after the interval.
  await clock.advance(65_000);
  assert.ok(deliveries.length - before <= 2, `${deliveries.length - before} deliveries`);
  await manager.stop();
});

test("an error keeps the last list and is shown until it is over", async () => {
  const { clock, lists, manager, addresses, last, registry, log } = setUp();
  lists.lists.set("http://one/", ["h:1"]);
  manager.apply([job("a", httpList("http://one/"))]);
  manager.start();
  await clock.advance(0);
  lists.lists.set("http://one/", new Error("it burns"));
  await clock.advance(66_000);
  assert.deepEqual(addresses("a"), ["h:1"]);
  assert.deepEqual(last("a")?.errors, ["it burns"]);
  assert.equal(last("a")?.complete, true);
  const metrics = registry.expose();
  assert.match(metrics, /prometheus_sd_http_failures_total 1\n/);
  assert.match(metrics, /prometheus_sd_refresh_failures_total\{mechanism="http"\} 1\n/);
  assert.ok(log.some((line) => line.includes("it burns")));
  lists.lists.set("http://one/", []);
  await clock.advance(66_000);
  assert.deepEqual(last("a")?.errors, []);
  assert.deepEqual(addresses("a"), [], "an empty list is a list");
  await manager.stop();
});

test("a job whose list never came is shown as incomplete", async () => {
  const { clock, manager, last, addresses } = setUp();
  manager.apply([job("a", httpList("http://none/"), statics("h:1"))]);
  manager.start();
  await clock.advance(0);
  assert.equal(last("a")?.complete, false);
  assert.deepEqual(last("a")?.errors, ["unknown list"]);
  assert.deepEqual(addresses("a"), ["h:1"]);
  await manager.stop();
});

test("unchanged mechanisms go on over a reload, equal ones are shared", async () => {
  const { clock, lists, manager, last, addresses } = setUp();
  lists.lists.set("http://one/", ["h:1"]);
  manager.apply([
    job("a", httpList("http://one/")),
    job("b", httpList("http://one/"), statics("h:2")),
  ]);
  manager.start();
  await clock.advance(0);
  assert.equal(lists.requests.length, 1, "one mechanism for both jobs");
  const shown = last("a");
  manager.apply([job("a", httpList("http://one/")), job("c", statics("h:3"))]);
  await clock.advance(0);
  assert.equal(lists.requests.length, 1, "still the same one");
  assert.equal(last("a"), shown, "the very same object");
  assert.equal(last("b"), undefined);
  assert.deepEqual(addresses("c"), ["h:3"]);
  await manager.stop();
});

test("a changed secret is a changed mechanism, and targets stay until it has answered", async () => {
  const { clock, lists, manager, last, addresses } = setUp();
  lists.lists.set("http://one/", ["h:1"]);
  manager.apply([job("a", httpList("http://one/", "old"))]);
  manager.start();
  await clock.advance(0);
  lists.lists.set("http://one/", new Error("401"));
  manager.apply([job("a", httpList("http://one/", "new"))]);
  await clock.advance(0);
  assert.equal(lists.requests.length, 2);
  assert.deepEqual(addresses("a"), ["h:1"], "nobody loses targets by an edit");
  assert.equal(last("a")?.complete, false);
  assert.deepEqual(last("a")?.errors, ["401"]);
  await clock.advance(66_000);
  assert.deepEqual(addresses("a"), ["h:1"], "however often it fails");
  manager.apply([job("a", httpList("http://one/", "newer"), statics("h:8"))]);
  await clock.advance(0);
  assert.deepEqual(addresses("a"), ["h:8", "h:1"]);
  lists.lists.set("http://one/", ["h:2"]);
  await clock.advance(66_000);
  assert.deepEqual(addresses("a"), ["h:2", "h:8"]);
  assert.equal(last("a")?.complete, true);
  await manager.stop();
});

test("a job whose list lacks a part is incomplete, and loses nothing until the part is there", async () => {
  const { clock, lists, manager, last, addresses } = setUp();
  lists.lists.set("http://one/", ["old:1"]);
  manager.apply([job("a", httpList("http://one/"))]);
  manager.start();
  await clock.advance(0);
  const health = (service: string) =>
    `http://c/v1/health/service/${service}?dc=d&stale=&wait=120000ms`;
  lists.answers.set(health("x"), [{ Node: { Address: "x" }, Service: { Port: 1 } }]);
  manager.apply([job("a", consulServices("x", "y"))]);
  await clock.advance(60_000);
  assert.deepEqual(addresses("a"), ["x:1", "old:1"]);
  assert.equal(last("a")?.complete, false);
  assert.deepEqual(last("a")?.errors, ["cannot refresh Consul service y: unknown list"]);
  lists.answers.set(health("y"), []);
  await clock.advance(60_000);
  assert.deepEqual(last("a")?.complete, true);
  assert.deepEqual(addresses("a"), ["x:1"]);
  await manager.stop();
});

test("a mechanism that this program does not have is an error said once, and the job goes on", async () => {
  const { clock, manager, last, addresses, log, registry } = setUp();
  const eureka: DiscoveryConfig = { kind: "other", mechanism: "eureka", options: { server: "x" } };
  manager.apply([job("a", eureka, statics("h:1")), job("b", eureka)]);
  manager.start();
  await clock.advance(0);
  manager.apply([job("a", eureka, statics("h:1", "h:2")), job("b", eureka)]);
  await clock.advance(10_000);
  assert.deepEqual(last("a")?.errors, ["eureka_sd_configs are not supported"]);
  assert.deepEqual(last("b")?.errors, ["eureka_sd_configs are not supported"]);
  assert.deepEqual(addresses("a"), ["h:1", "h:2"]);
  assert.equal(log.filter((line) => line.includes("eureka")).length, 1);
  assert.match(registry.expose(), /prometheus_sd_failed_configs\{name="scrape"\} 1\n/);
  await manager.stop();
});

test("after stop nothing is delivered", async () => {
  const { clock, lists, manager, deliveries } = setUp();
  lists.lists.set("http://one/", ["h:1"]);
  manager.apply([job("a", httpList("http://one/"))]);
  manager.start();
  await clock.advance(0);
  const before = deliveries.length;
  await manager.stop();
  await clock.advance(600_000);
  assert.equal(deliveries.length, before);
  assert.equal(lists.requests.length, 1);
});
