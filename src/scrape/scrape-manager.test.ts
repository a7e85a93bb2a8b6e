import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { refuseTarget, type Target } from "../model/target.ts";
import { ScrapeManager } from "./scrape-manager.ts";
import {
  configOf,
  FakeClient,
  FakeClock,
  FakeStorage,
  scrapeConfig,
  settle,
  targetOf,
  type FakeAnswer,
  dropRule,
} from "./scrape.fixture.ts";

const URL = "http://127.0.0.1:9100/metrics";

class Rig {
  readonly clock = new FakeClock();
  readonly storage = new FakeStorage();
  readonly registry = new Registry();
  readonly clients: FakeClient[] = [];
  body = "a 1\n";
  answer: () => FakeAnswer | Promise<FakeAnswer> = () => ({ body: this.body });
  readonly manager = new ScrapeManager({
    appendable: this.storage,
    logger: silentLogger,
    registry: this.registry,
    userAgent: "Shoal/test",
    jitterSeedText: "host",
    clock: this.clock,
    scrapeBodyMaxBytes: 10_000,
    createClient: () => {
      const client = new FakeClient(() => this.answer());
      this.clients.push(client);
      return client;
    },
  });

  apply(
    config: ScrapeConfig,
    targets: readonly Target[] = [targetOf(URL)],
    handedOver = new Set<string>(),
  ): void {
    this.manager.apply({ config: configOf(config), targets, handedOver });
  }

  /** One interval. */
  async tick(): Promise<void> {
    await this.clock.advance(10_000);
  }
}

const INSTANCE = 'instance="127.0.0.1:9100", job="job"';

test("a target is scraped once in each interval, always at the same offset", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  assert.equal(rig.manager.status()[0]!.health, "unknown");
  for (let i = 0; i < 4; i++) await rig.tick();
  assert.equal(rig.storage.batches.length, 4);
  const times = rig.storage.batches.map((batch) => batch[0]!.timeMs);
  assert.deepEqual(
    times.map((time) => time % 10_000),
    Array.from({ length: 4 }, () => times[0]! % 10_000),
  );
  const other = new Rig();
  other.apply(scrapeConfig());
  await other.tick();
  assert.equal(other.storage.batches[0]![0]!.timeMs % 10_000, times[0]! % 10_000);
  await rig.manager.stop();
  assert.equal(rig.clock.timerCount, 0);
});

test("a scrape stores samples, report series and status", async () => {
  const rig = new Rig();
  rig.body = '# TYPE a counter\n# HELP a Some\\nhelp\na{job="x",b="c"} 1\nd 2\n';
  rig.apply(scrapeConfig({ extraScrapeMetrics: true, sampleLimit: 10 }));
  await rig.tick();
  assert.deepEqual(rig.storage.lastSamples(), [
    `{__name__="a", b="c", exported_job="x", ${INSTANCE}} 1`,
    `{__name__="d", ${INSTANCE}} 2`,
  ]);
  const report = (name: string): unknown => rig.storage.lastReport(name);
  assert.equal(report("up"), 1);
  assert.equal(report("scrape_samples_scraped"), 2);
  assert.equal(report("scrape_samples_post_metric_relabeling"), 2);
  assert.equal(report("scrape_series_added"), 2);
  assert.equal(report("scrape_duration_seconds"), 0);
  assert.equal(report("scrape_timeout_seconds"), 5);
  assert.equal(report("scrape_sample_limit"), 10);
  assert.equal(report("scrape_body_size_bytes"), rig.body.length);
  assert.equal(new Set(rig.storage.batches[0]!.map((sample) => sample.timeMs)).size, 1);
  const [status] = rig.manager.status();
  assert.equal(status!.health, "up");
  assert.deepEqual(
    [status!.seriesScraped, status!.seriesPostRelabel, status!.seriesAdded, status!.scrapes],
    [2, 2, 2, 1],
  );
  assert.deepEqual(rig.manager.metadata().get("a"), [
    { type: "counter", help: "Some\nhelp", unit: "" },
  ]);
  rig.body = "# TYPE a gauge\na 1\n";
  await rig.tick();
  assert.equal(rig.manager.metadata().get("a")![0]!.type, "gauge");
  await rig.manager.stop();
});

test("the same target with other labels and another URL goes on in its rhythm, and its old series go stale", async () => {
  const rig = new Rig();
  const first = targetOf(`${URL}?token=1`, { labels: { pod_uid: "1" } });
  const second = { ...targetOf(`${URL}?token=2`, { labels: { pod_uid: "2" } }), hash: first.hash };
  rig.apply(scrapeConfig(), [first]);
  await rig.tick();
  await rig.tick();
  rig.apply(scrapeConfig(), [second]);
  await rig.tick();
  assert.deepEqual(
    rig.clients[0]!.requests.map(({ url }) => url),
    [`${URL}?token=1`, `${URL}?token=1`, `${URL}?token=2`],
  );
  const batch = rig.storage.batches.at(-1)!;
  const written = (uid: string): string[] =>
    batch
      .filter(({ series }) => series.includes(`pod_uid="${uid}"`))
      .map(
        ({ series, value }) =>
          `${/__name__="(\w+)"/.exec(series)![1]} ${value === "stale" ? "stale" : "fresh"}`,
      )
      .sort();
  const report = [
    "scrape_duration_seconds",
    "scrape_samples_post_metric_relabeling",
    "scrape_samples_scraped",
    "scrape_series_added",
    "up",
  ];
  assert.deepEqual(
    written("1"),
    ["a", ...report].map((name) => `${name} stale`),
  );
  assert.deepEqual(
    written("2"),
    ["a", ...report].map((name) => `${name} fresh`),
  );
  assert.equal(new Set(rig.storage.batches.map((each) => each[0]!.timeMs % 10_000)).size, 1);
  await rig.tick();
  assert.equal(rig.storage.batches.at(-1)!.length, 6, "stale once");
  assert.equal(rig.manager.status()[0]!.scrapes, 4);
  await rig.manager.stop();
});

test("requests carry Prometheus's headers", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig(), [targetOf(URL, { timeoutMs: 2500 })]);
  await rig.tick();
  const [request] = rig.clients[0]!.requests;
  assert.equal(request!.timeoutMs, 2500);
  assert.equal(request!.headers!["accept-encoding"], "gzip");
  assert.equal(request!.headers!["x-prometheus-scrape-timeout-seconds"], "2.5");
  assert.match(
    String(request!.headers!["accept"]),
    /^application\/openmetrics-text;version=1\.0\.0/,
  );
  rig.apply(scrapeConfig({ enableCompression: false }), [targetOf(URL, { timeoutMs: 2500 })]);
  await rig.tick();
  assert.equal(rig.clients[0]!.requests[1]!.headers!["accept-encoding"], "identity");
  await rig.manager.stop();
});

test("a failing target is down with a reason, and its series go stale", async () => {
  const cases: [answer: FakeAnswer, config: Partial<ScrapeConfig>, error: string | RegExp][] = [
    [
      { status: 503, statusText: "Service Unavailable", body: "" },
      {},
      "server returned HTTP status 503 Service Unavailable",
    ],
    [{ status: 404, statusText: "", body: "" }, {}, "server returned HTTP status 404 Not Found"],
    [{ headers: {}, body: "a 1\n" }, {}, /^non-compliant scrape target sending blank Content-Type/],
    [
      { headers: { "content-type": "text/html" }, body: "a 1\n" },
      {},
      /^received unsupported Content-Type "text\/html"/,
    ],
    [{ body: "a b\n" }, {}, /invalid syntax while parsing: "a b" \(line 1\)/],
    [{ body: "a 1\nb 2\n" }, { sampleLimit: 1 }, "sample limit exceeded"],
    [{ body: "a 1\n" }, { bodySizeLimit: 4 }, "body size limit exceeded"],
    [
      { body: "a".repeat(10_001) },
      {},
      /^body size limit exceeded: more than 10000B \(scrapeBodyMaxBytes\)/,
    ],
    [
      { body: 'a{b="c"} 1\n' },
      { labelLimit: 3 },
      "label_limit exceeded (metric: a, number of labels: 4, limit: 3)",
    ],
    [
      { body: 'a{very_long_name="c"} 1\n' },
      { labelNameLengthLimit: 10 },
      "label_name_length_limit exceeded (metric: a, label name: very_long_name, length: 14, limit: 10)",
    ],
    [
      { body: 'a{b="éééééééééé"} 1\n' },
      { labelValueLengthLimit: 15 },
      'label_value_length_limit exceeded (metric: a, label name: b, value: "éééééééééé", length: 20, limit: 15)',
    ],
    [
      { body: '{"a.b"} 1\n' },
      { metricNameValidationScheme: "legacy" },
      /^invalid metric name or label names: /,
    ],
    [{ body: 'a{b="1",b="2"} 1\n' }, {}, 'label name "b" is not unique: invalid sample'],
  ];
  for (const [answer, config, error] of cases) {
    const rig = new Rig();
    rig.body = "a 1\n";
    rig.apply(scrapeConfig());
    await rig.tick();
    rig.answer = () => answer;
    rig.apply(scrapeConfig(config));
    await rig.tick();
    const [status] = rig.manager.status();
    assert.equal(status!.health, "down", String(error));
    if (typeof error === "string") assert.equal(status!.lastError, error);
    else assert.match(status!.lastError, error);
    assert.equal(rig.storage.lastReport("up"), 0);
    assert.deepEqual(rig.storage.lastSamples(), [`{__name__="a", ${INSTANCE}} stale`]);
    await rig.tick();
    assert.deepEqual(rig.storage.lastSamples(), [], "stale once");
    assert.equal(rig.storage.lastReport("up"), 0);
    await rig.manager.stop();
  }
});

test("limits are counted under Prometheus's names", async () => {
  const rig = new Rig();
  rig.body = "a 1\nb 2\n";
  rig.apply(scrapeConfig({ sampleLimit: 1 }));
  await rig.tick();
  rig.apply(scrapeConfig({ bodySizeLimit: 3 }));
  await rig.tick();
  rig.apply(scrapeConfig({ labelLimit: 1 }));
  await rig.tick();
  rig.apply(scrapeConfig());
  rig.body = "a 1\na 2\n";
  await rig.tick();
  const exposed = rig.registry.expose();
  for (const name of [
    "prometheus_target_scrapes_exceeded_sample_limit_total",
    "prometheus_target_scrapes_exceeded_body_size_limit_total",
    "prometheus_target_scrape_pool_exceeded_label_limits_total",
    "prometheus_target_scrapes_sample_duplicate_timestamp_total",
  ])
    assert.match(exposed, new RegExp(`^${name} 1$`, "m"));
  assert.match(exposed, /^prometheus_target_scrape_pool_targets\{scrape_job="job"\} 1$/m);
  await rig.manager.stop();
});

test("an empty answer is a good scrape of nothing, whatever its type", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  rig.answer = () => ({ headers: {}, body: "" });
  await rig.tick();
  assert.equal(rig.storage.lastReport("up"), 1);
  assert.deepEqual(rig.storage.lastSamples(), [`{__name__="a", ${INSTANCE}} stale`]);
  await rig.manager.stop();
});

test("a removed target's markers come 2.1 intervals later, at the time of its next scrape", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  const lastMs = rig.storage.batches[0]![0]!.timeMs;
  rig.apply(scrapeConfig(), []);
  assert.deepEqual(rig.manager.status(), []);
  await rig.clock.advance(lastMs + 20_999 - rig.clock.now());
  assert.equal(rig.storage.batches.length, 1);
  await rig.clock.advance(1);
  assert.equal(rig.storage.batches.length, 2);
  const batch = rig.storage.batches[1]!;
  assert.equal(batch.length, 6);
  assert.ok(batch.every((sample) => sample.value === "stale" && sample.timeMs === lastMs + 10_000));
  assert.equal(rig.clock.timerCount, 0);
  await rig.manager.stop();
});

test("a target handed over gets no markers", async () => {
  const rig = new Rig();
  const target = targetOf(URL);
  rig.apply(scrapeConfig(), [target]);
  await rig.tick();
  rig.apply(scrapeConfig(), [], new Set([target.hash]));
  await rig.clock.advance(60_000);
  assert.equal(rig.storage.batches.length, 1);
  await rig.manager.stop();
});

test("nor does one whose handover becomes known only after it went", async () => {
  const rig = new Rig();
  const target = targetOf(URL);
  rig.apply(scrapeConfig(), [target]);
  await rig.tick();
  rig.apply(scrapeConfig(), []);
  await rig.clock.advance(5000);
  rig.apply(scrapeConfig(), [], new Set([target.hash]));
  await rig.clock.advance(60_000);
  assert.equal(rig.storage.batches.length, 1);
  await rig.manager.stop();
});

test("a target that comes back in time goes on without a gap or a marker", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  rig.apply(scrapeConfig(), []);
  await rig.clock.advance(15_000);
  const resolved = rig.storage.resolveCount;
  rig.apply(scrapeConfig());
  await rig.clock.advance(30_000);
  assert.ok(rig.storage.batches.flat().every((sample) => sample.value !== "stale"));
  assert.equal(rig.storage.resolveCount, resolved);
  assert.equal(rig.storage.batches.length, 4);
  await rig.manager.stop();
});

test("a removed job's targets get their markers too", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  rig.manager.apply({ config: configOf(), targets: [targetOf(URL)] });
  await rig.clock.advance(30_000);
  assert.equal(rig.storage.batches.length, 2);
  rig.manager.apply({ config: configOf(), targets: [] });
  await settle();
  assert.equal(rig.clients[0]!.closed, true);
  await rig.manager.stop();
});

test("an unchanged configuration changes nothing; new rules act from the next scrape on", async () => {
  const rig = new Rig();
  rig.body = "a 1\nb 2\n";
  rig.apply(scrapeConfig());
  await rig.tick();
  const resolved = rig.storage.resolveCount;
  rig.apply(scrapeConfig());
  await rig.tick();
  assert.equal(rig.storage.resolveCount, resolved);
  assert.equal(rig.clients.length, 1);
  rig.apply(scrapeConfig({ metricRelabelConfigs: [dropRule("b")] }));
  await rig.tick();
  assert.deepEqual(rig.storage.lastSamples(), [
    `{__name__="a", ${INSTANCE}} 1`,
    `{__name__="b", ${INSTANCE}} stale`,
  ]);
  assert.equal(rig.storage.lastReport("scrape_samples_scraped"), 2);
  assert.equal(rig.storage.lastReport("scrape_samples_post_metric_relabeling"), 1);
  const times = rig.storage.batches.map((batch) => batch[0]!.timeMs);
  assert.deepEqual([times[1]! - times[0]!, times[2]! - times[1]!], [10_000, 10_000]);
  await rig.manager.stop();
});

test("how targets are found does not touch those that stay", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  const resolved = rig.storage.resolveCount;
  const staticGroup = { kind: "static", groups: [{ targets: ["x:1"], labels: {} }] } as const;
  rig.apply(scrapeConfig({ serviceDiscovery: [staticGroup], relabelConfigs: [dropRule("x")] }));
  rig.apply(scrapeConfig({ bodySizeLimit: 1000 }));
  await rig.tick();
  // Only the report series were asked for again.
  assert.equal(rig.storage.resolveCount, resolved + 5);
  await rig.manager.stop();
});

test("a new HTTP client configuration makes a new client; the old one lingers for scrapes under way", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  const base = scrapeConfig();
  rig.apply({ ...base, httpClient: { ...base.httpClient, followRedirects: false } });
  await rig.tick();
  assert.equal(rig.clients.length, 2);
  assert.equal(rig.clients[1]!.requests.length, 1);
  assert.equal(rig.clients[0]!.closed, false);
  await rig.manager.stop();
  assert.equal(rig.clients[0]!.closed, true);
});

test("more targets than target_limit fail them all", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig({ targetLimit: 1 }), [targetOf(URL), targetOf(`${URL}2`)]);
  await rig.tick();
  for (const status of rig.manager.status())
    assert.equal(status.lastError, "target_limit exceeded (number of targets: 2, limit: 1)");
  rig.apply(scrapeConfig({ targetLimit: 1 }), [targetOf(URL)]);
  await rig.tick();
  assert.equal(rig.manager.status()[0]!.health, "up");
  await rig.manager.stop();
});

test("a target that is refused is not asked and fails with the reason, until it is not refused any more", async () => {
  const rig = new Rig();
  const refusal = "target_limit exceeded (number of targets: 9, limit: 5)";
  rig.apply(scrapeConfig({ targetLimit: 5 }), [refuseTarget(targetOf(URL), refusal)]);
  await rig.tick();
  const [status] = rig.manager.status();
  assert.deepEqual([status!.health, status!.lastError], ["down", refusal]);
  rig.apply(scrapeConfig({ targetLimit: 5 }), [targetOf(URL)]);
  await rig.tick();
  assert.equal(rig.manager.status()[0]!.health, "up");
  await rig.manager.stop();
});

test("honor_labels: what the target says wins, even when it says nothing", async () => {
  const rig = new Rig();
  rig.body = 'a{job="x",instance=""} 1\nb 2\n';
  rig.apply(scrapeConfig({ honorLabels: true }));
  await rig.tick();
  assert.deepEqual(rig.storage.lastSamples(), [
    '{__name__="a", job="x"} 1',
    `{__name__="b", ${INSTANCE}} 2`,
  ]);
  await rig.manager.stop();
});

test("exported_ is put before a name as often as needed", async () => {
  const rig = new Rig();
  rig.body = 'a{job="x",exported_job="y"} 1\n';
  rig.apply(scrapeConfig());
  await rig.tick();
  assert.deepEqual(rig.storage.lastSamples(), [
    `{__name__="a", exported_exported_job="x", exported_job="y", ${INSTANCE}} 1`,
  ]);
  await rig.manager.stop();
});

test("series the storage does not take are left out, the others stored, and tried again", async () => {
  const rig = new Rig();
  rig.body = "a 1\n";
  rig.apply(scrapeConfig());
  await rig.tick();
  rig.storage.seriesMax = rig.storage.refs.size;
  rig.body = "a 1\nb 2\n";
  await rig.tick();
  assert.equal(rig.storage.lastReport("up"), 1);
  assert.deepEqual(rig.storage.lastSamples(), [`{__name__="a", ${INSTANCE}} 1`]);
  assert.match(rig.registry.expose(), /^shoal_scrape_series_refused_total 1$/m);
  rig.storage.seriesMax = Infinity;
  await rig.tick();
  assert.deepEqual(rig.storage.lastSamples(), [
    `{__name__="a", ${INSTANCE}} 1`,
    `{__name__="b", ${INSTANCE}} 2`,
  ]);
  await rig.manager.stop();
});

test("series that the storage forgot are resolved again and lose no sample", async () => {
  const rig = new Rig();
  rig.body = "a 1\nb 2\n";
  rig.apply(scrapeConfig());
  await rig.tick();
  rig.storage.forget(`{__name__="b", ${INSTANCE}}`);
  rig.storage.forget(`{__name__="up", ${INSTANCE}}`);
  const before = rig.storage.batches.length;
  await rig.tick();
  const stored = rig.storage.batches.slice(before).flat();
  assert.deepEqual(rig.storage.samplesOf(stored), [
    `{__name__="a", ${INSTANCE}} 1`,
    `{__name__="b", ${INSTANCE}} 2`,
  ]);
  assert.equal(stored.filter((sample) => sample.series.includes('"up"')).length, 1);
  await rig.tick();
  assert.equal(rig.storage.batches.length, before + 3);
  await rig.manager.stop();
});

test("a storage that fails makes the scrape fail, and the next one works", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  rig.storage.failWith = new Error("disk full");
  await rig.tick();
  assert.equal(rig.manager.status()[0]!.lastError, "cannot store the scrape: disk full");
  rig.storage.failWith = undefined;
  await rig.tick();
  assert.equal(rig.manager.status()[0]!.health, "up");
  assert.deepEqual(rig.storage.lastSamples(), [`{__name__="a", ${INSTANCE}} 1`]);
  await rig.manager.stop();
});

test("a clock set back or forward neither stops scraping nor bursts", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  await rig.tick();
  for (const jumpMs of [-3_600_000, 3_600_000]) {
    const before = rig.clients[0]!.requests.length;
    rig.clock.jump(jumpMs);
    for (let i = 0; i < 4; i++) await rig.tick();
    const scrapes = rig.clients[0]!.requests.length - before;
    assert.ok(scrapes >= 3 && scrapes <= 5, `${scrapes} scrapes after ${jumpMs} ms`);
  }
  await rig.manager.stop();
});

test("stopping cuts a scrape short and stores nothing of it", async () => {
  const rig = new Rig();
  rig.apply(scrapeConfig());
  let release: (answer: FakeAnswer) => void = () => {};
  rig.answer = () =>
    new Promise((resolve) => {
      release = resolve;
    });
  await rig.tick();
  const stopped = rig.manager.stop();
  release({ body: "a 1\n" });
  await stopped;
  assert.equal(rig.clients[0]!.requests[0]!.signal!.aborted, true);
  assert.deepEqual(rig.storage.batches, []);
  rig.apply(scrapeConfig());
  assert.deepEqual(rig.manager.status(), []);
});

test("while scraping is stopped no target is asked, and every scrape fails with the reason", async () => {
  const rig = new Rig();
  let asked = 0;
  rig.answer = () => {
    asked++;
    return { body: rig.body };
  };
  rig.apply(scrapeConfig());
  await rig.tick();
  rig.manager.stopScraping("too much");
  await rig.tick();
  assert.equal(asked, 1);
  const [status] = rig.manager.status();
  assert.deepEqual([status!.health, status!.lastError], ["down", "too much"]);
  assert.equal(rig.storage.lastReport("up"), 0);
  assert.match(rig.storage.lastSamples().join(), /__name__="a".* stale/i);
  // New targets, new jobs and new rules do not get around it.
  const other = targetOf("http://127.0.0.1:9101/metrics");
  rig.apply(scrapeConfig({ sampleLimit: 5 }), [targetOf(URL), other]);
  await rig.tick();
  assert.equal(asked, 1);
  assert.deepEqual(
    rig.manager.status().map(({ lastError }) => lastError),
    ["too much", "too much"],
  );
  rig.manager.stopScraping("");
  await rig.tick();
  assert.equal(asked, 3);
  assert.ok(rig.manager.status().every(({ health }) => health === "up"));
  await rig.manager.stop();
});

test("a target limit holds again when scraping goes on", async () => {
  const rig = new Rig();
  const targets = [targetOf(URL), targetOf("http://127.0.0.1:9101/metrics")];
  rig.manager.stopScraping("too much");
  rig.apply(scrapeConfig({ targetLimit: 1 }), targets);
  await rig.tick();
  assert.equal(rig.manager.status()[0]!.lastError, "too much");
  rig.manager.stopScraping("");
  await rig.tick();
  assert.match(rig.manager.status()[0]!.lastError, /^target_limit exceeded/);
  await rig.manager.stop();
});
