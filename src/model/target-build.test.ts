import assert from "node:assert/strict";
import { test } from "node:test";
import { compileRelabelRegex } from "./regex.ts";
import type { RelabelConfig } from "./relabel-config.ts";
import { PLAIN_JOB } from "./target-build.fixture.ts";
import { buildTarget, TargetBuilder, type TargetOptions } from "./target-build.ts";
import type { Target } from "./target.ts";

function rule(options: Partial<Omit<RelabelConfig, "regex">> & { regex?: string }): RelabelConfig {
  const { regex = "(.*)", ...rest } = options;
  return {
    sourceLabels: [],
    separator: ";",
    modulus: 0,
    targetLabel: "",
    replacement: "$1",
    action: "replace",
    ...rest,
    regex: compileRelabelRegex(regex),
  };
}

function built(labels: Record<string, string>, options: Partial<TargetOptions> = {}): Target {
  const result = buildTarget({ labels }, { ...PLAIN_JOB, ...options });
  assert.equal(result.kind, "target", JSON.stringify(result));
  return result.kind === "target" ? result.target : assert.fail();
}

test("a target gets the job's defaults, an instance, and its identity", () => {
  const target = built({ __address__: "127.0.0.1:9091", __meta_filepath: "f.json" });
  assert.equal(target.labels.toString(), '{instance="127.0.0.1:9091", job="test"}');
  assert.equal(
    target.allLabels.toString(),
    '{__address__="127.0.0.1:9091", __always_scrape_classic_histograms__="false", __convert_classic_histograms_to_nhcb__="false", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_native_histograms__="false", __scrape_timeout__="10s", instance="127.0.0.1:9091", job="test"}',
  );
  assert.equal(target.discoveredLabels.get("__meta_filepath"), "f.json");
  assert.equal(target.discoveredLabels.has("instance"), false);
  assert.equal(target.url, "http://127.0.0.1:9091/metrics");
  assert.deepEqual([target.intervalMs, target.timeoutMs, target.job], [60_000, 10_000, "test"]);
  assert.match(target.hash, /^\d{10,20}$/);
});

test("a target's label hides its group's, which hides the job's default", () => {
  const builder = new TargetBuilder(PLAIN_JOB);
  const group = { job: "group", a: "group", b: "group", empty: "" };
  const f = (labels: Record<string, string>, want: string): void => {
    const result = builder.build({ __address__: "h:1", ...labels }, group);
    assert.equal(result.kind === "target" && result.target.labels.toString(), want);
  };
  f({ a: "own" }, '{a="own", b="group", instance="h:1", job="group"}');
  f({ a: "" }, '{b="group", instance="h:1", job="group"}');
  f({ job: "" }, '{a="group", b="group", instance="h:1", job="test"}');
  f({ instance: "mine" }, '{a="group", b="group", instance="mine", job="group"}');
  const other = builder.build({ __address__: "h:1" }, { c: "x" });
  assert.equal(
    other.kind === "target" && other.target.labels.toString(),
    '{c="x", instance="h:1", job="test"}',
  );
});

// Expected values in the next four tests were read from /api/v1/targets and the log of Prometheus 3.5.3.
test("URLs are spelled as Prometheus spells them", () => {
  const f = (labels: Record<string, string>, options: Partial<TargetOptions>, want: string): void =>
    assert.equal(built({ __address__: "127.0.0.1:1", ...labels }, options).url, want);
  f({}, {}, "http://127.0.0.1:1/metrics");
  f({ __address__: "example.com" }, {}, "http://example.com/metrics");
  f({ __address__: "[::1]:90" }, {}, "http://[::1]:90/metrics");
  f({ __address__: "h:80 " }, {}, "http://h:80%20/metrics");
  f({ __address__: "ü:1" }, {}, "http://%C3%BC:1/metrics");
  f({ __address__: "a{b:1" }, {}, "http://a%7Bb:1/metrics");
  f({ __scheme__: "ftp" }, {}, "ftp://127.0.0.1:1/metrics");
  f({ __metrics_path__: "x" }, {}, "http://127.0.0.1:1/x");
  f(
    { __param_new: "q&r" },
    {
      metricsPath: "/a?b=c d/(x)/é*!'~%20;,@",
      params: { "m[]": ['{a="b"}', "z z"], a: ["1+2"], empty: [] },
    },
    "http://127.0.0.1:1/a%3Fb=c%20d/%28x%29/%C3%A9%2A%21%27~%2520;,@?a=1%2B2&m%5B%5D=%7Ba%3D%22b%22%7D&m%5B%5D=z+z&new=q%26r",
  );
  f(
    { __param_a: "over" },
    {
      params: { a: ["1", "2"], b: ["3"] },
      relabelConfigs: [rule({ targetLabel: "__param_b", replacement: "" })],
    },
    "http://127.0.0.1:1/metrics?a=over&a=2&b=3",
  );
});

test("labels that relabelling removed leave what is left", () => {
  const target = built(
    { __address__: "127.0.0.1:1" },
    {
      relabelConfigs: [
        rule({ targetLabel: "__scheme__", replacement: "" }),
        rule({ regex: "instance|job|__metrics_path__", action: "labeldrop" }),
      ],
    },
  );
  assert.equal(target.url, "//127.0.0.1:1");
  assert.equal(target.labels.toString(), '{instance="127.0.0.1:1"}');
  assert.equal(target.discoveredLabels.get("job"), "test");
});

test("intervals of their own", () => {
  const target = built({
    __address__: "127.0.0.1:5",
    __scrape_interval__: "1h30m",
    __scrape_timeout__: "5s",
  });
  assert.deepEqual([target.intervalMs, target.timeoutMs], [5_400_000, 5000]);
});

test("the job's switches for histograms are labels, which relabelling may change", () => {
  const switches = ({ allLabels }: Target): string[] =>
    [...allLabels].flatMap(([name, value]) =>
      name.includes("histograms") ? [`${name}=${value}`] : [],
    );
  const job = { scrapeNativeHistograms: true, alwaysScrapeClassicHistograms: true };
  const address = { __address__: "h:1" };
  assert.deepEqual(switches(built(address, job)), [
    "__always_scrape_classic_histograms__=true",
    "__convert_classic_histograms_to_nhcb__=false",
    "__scrape_native_histograms__=true",
  ]);
  const own = rule({ targetLabel: "__scrape_native_histograms__", replacement: "F" });
  const none = rule({ regex: "__always_.*", action: "labeldrop" });
  const changed = built(address, { ...job, relabelConfigs: [own, none] });
  assert.deepEqual(switches(changed), [
    "__convert_classic_histograms_to_nhcb__=false",
    "__scrape_native_histograms__=F",
  ]);
  assert.equal(changed.labels.toString(), '{instance="h:1", job="test"}');
  // As interval and timeout: a target that is scraped otherwise is another one.
  assert.notEqual(changed.hash, built(address, job).hash);
});

test("what cannot be a target says why", () => {
  const f = (labels: Record<string, string>, want: string): void =>
    assert.deepEqual(buildTarget({ labels: { __address__: "h:1", ...labels } }, PLAIN_JOB), {
      kind: "error",
      message: want,
    });
  f({ __address__: "" }, "no address");
  f({ __address__: "a/b" }, '"a/b" is not a valid hostname');
  f({ __address__: "http://x:1" }, '"http://x:1" is not a valid hostname');
  f({ __scrape_interval__: "0s" }, "scrape interval cannot be 0");
  f(
    { __scrape_interval__: "x" },
    'error parsing scrape interval: not a valid duration string: "x"',
  );
  f({ __scrape_timeout__: "0s" }, "scrape timeout cannot be 0");
  f({ __scrape_timeout__: "y" }, 'error parsing scrape timeout: not a valid duration string: "y"');
  f(
    { __scrape_timeout__: "2m" },
    'scrape timeout cannot be greater than scrape interval ("2m" > "1m")',
  );
  f(
    { __scrape_interval__: "5s" },
    'scrape timeout cannot be greater than scrape interval ("10s" > "5s")',
  );
  for (const [name, what] of [
    ["__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb"],
    ["__always_scrape_classic_histograms__", "always scrape classic histograms"],
    ["__scrape_native_histograms__", "scrape native histograms"],
  ] as const)
    f({ [name]: "yes" }, `error parsing ${what}: strconv.ParseBool: parsing "yes": invalid syntax`);
  const lone = buildTarget({ labels: { __address__: "h:1", a: "\ud800" } }, PLAIN_JOB);
  assert.ok(lone.kind === "error" && lone.message.startsWith('invalid label value for "a": '));
});

test("a dropped target keeps the labels it was found with", () => {
  const result = buildTarget(
    { labels: { __address__: "h:1", __meta_x: "y" } },
    {
      ...PLAIN_JOB,
      relabelConfigs: [rule({ targetLabel: "z", replacement: "1" }), rule({ action: "drop" })],
    },
  );
  assert.equal(result.kind, "dropped");
  assert.equal(
    result.kind === "dropped" && result.target.discoveredLabels.toString(),
    '{__address__="h:1", __always_scrape_classic_histograms__="false", __convert_classic_histograms_to_nhcb__="false", __meta_x="y", __metrics_path__="/metrics", __scheme__="http", __scrape_interval__="1m", __scrape_native_histograms__="false", __scrape_timeout__="10s", job="test"}',
  );
});

test("magic label names survive", () => {
  const labels = Object.fromEntries([
    ["__address__", "h:1"],
    ["toString", "1"],
    ["constructor", "2"],
    ["__param___proto__", "3"],
  ]);
  const target = built(labels);
  assert.equal(
    target.labels.toString(),
    '{constructor="2", instance="h:1", job="test", toString="1"}',
  );
  assert.equal(target.url, "http://h:1/metrics?__proto__=3");
});
