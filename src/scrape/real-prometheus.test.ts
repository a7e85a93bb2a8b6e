/**
 * The same exporter, scraped by a real Prometheus and by this scraper: bodies good and bad, each a target of its own.
 * Both must agree on health, error text, series, labels and what the scrape reports of itself.
 */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { parseFloatText } from "../base/float.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { Labels } from "../model/labels.ts";
import { readText } from "../http/read-body.ts";
import { createHttpClient } from "../http/client.ts";
import { ScrapeManager } from "./scrape-manager.ts";
import { configOf, dropRule, FakeStorage, scrapeConfig, targetOf } from "./scrape.fixture.ts";

const OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT = "text/plain; version=0.0.4";

/** Content-Type and body of each target; a target's path is its index. */
const CASES: readonly (readonly [type: string, body: string])[] = [
  [TEXT, "a 1\n"],
  [TEXT, "a 1"],
  // Blanks in front are part of the name.
  [TEXT, ' a 1\n\tb{c="d"} 2\n \t e \t{f="g"} 3\n\t{"h"} 4\n\t\n \n\t# TYPE i counter\n\ti 5\na 6'],
  [TEXT, 'a { b = "c" , } \t 1 \n'],
  [TEXT, 'a{b="c"d="e"} 1\n'],
  [TEXT, 'a{b="\\"\\\\\\n\\x"} 1\n'],
  [TEXT, 'a{b="x\ny"} 1\n'],
  [TEXT, 'a{b=""} 1\n'],
  [TEXT, 'a{__proto__="x",constructor="y",le="1"} 1\n'],
  [TEXT, '{"a.b","c.d"="e😀"} 1\n'],
  [TEXT, '{f="g","a.b"} 1\n'],
  [TEXT, "a NaN\nb +Inf\nc -inf\nd 1e3\ne .5\nf 5.\ng 0.30000000000000004\nh 1e-400\n"],
  [TEXT, "a 1\na 2\nb 3\n"],
  [TEXT, 'a{job="x",exported_job="y",instance="z"} 1\n'],
  [
    TEXT,
    '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="1000000"} 1\nh_bucket{le="2.5e6"} 1\nh_bucket{le="123456789"} 1\nh_bucket{le="0.00001"} 1\nh_bucket{le="100000"} 1\nh_bucket{le="+Inf"} 1\nh_sum 2\nh_count 1\n',
  ],
  [TEXT, '# TYPE s summary\ns{quantile="0"} 1\ns{quantile="1"} 2\ns_sum 3\ns_count 1\n'],
  [TEXT, "# HELP a\n# TYPE a  counter\na 1\n"],
  [TEXT, "# HELP a\n# TYPE a counter\n#a\n# TYPEX\n#\n\n\na 1\n"],
  [TEXT, "# TYPE 9 counter\na 1\n"],
  [TEXT, "# TYPE a nope\n"],
  [TEXT, "a"],
  [TEXT, "ok 1\na{b='c'} 1\n"],
  [TEXT, "a{b=\n"],
  [TEXT, 'a{b="c'],
  [TEXT, "a true\n"],
  [TEXT, "a 1e999\n"],
  [TEXT, "foo 1_2\n"],
  [TEXT, "foo 0x1p-3\n"],
  [TEXT, "foo 0x1\n"],
  [TEXT, "foo 0 1_2\n"],
  [TEXT, "foo 0 1 2\n"],
  [TEXT, "foo 0 -5\n"],
  [TEXT, "foo 0 5.5\n"],
  [TEXT, '{a="ok"} 1\n'],
  [TEXT, 'a{"b"} 1\n'],
  [TEXT, 'empty{=""} 0\n'],
  [TEXT, 'a{b="1",b="2"} 1\n'],
  [TEXT, 'a{,b="1"} 1\n'],
  [TEXT, 'a{b="1",,} 1\n'],
  [TEXT, "9a 1\n"],
  [TEXT, "a{b} 1\n"],
  [TEXT, "a 1 99999999999999999999\n"],
  [TEXT, 'a{b="c"}\n'],
  [TEXT, 'a{b="c"}1\n'],
  [TEXT, 'a{"b=c"="d", e="f"} 1\n'],
  [TEXT, ""],
  ["", ""],
  ["", "a 1\n"],
  ["text/html", "a 1\n"],
  ["text plain;;", "a 1\n"],
  [OPENMETRICS, "# EOF\n"],
  [OPENMETRICS, "# EOF"],
  [OPENMETRICS, ""],
  [OPENMETRICS, "a 1\n"],
  [OPENMETRICS, "a 1"],
  [OPENMETRICS, "a 1\n# EOF\nx"],
  [OPENMETRICS, "\n# EOF\n"],
  [OPENMETRICS, "#x\n# EOF\n"],
  [OPENMETRICS, "# x\n# EOF\n"],
  [OPENMETRICS, "# TYPE  c counter\n# EOF\n"],
  [OPENMETRICS, "# TYPE c  counter\n# EOF\n"],
  [OPENMETRICS, "# TYPE c untyped\n# EOF\n"],
  [OPENMETRICS, "# HELP c\n# EOF\n"],
  [OPENMETRICS, "# UNIT a seconds\n# EOF\n"],
  [OPENMETRICS, "# UNIT a_seconds seconds\na_seconds 1\n# EOF\n"],
  [OPENMETRICS, 'a{b="c" ,} 1\n# EOF\n'],
  [OPENMETRICS, 'a{b="c",} 1\n# EOF\n'],
  [OPENMETRICS, "a  1\n# EOF\n"],
  [OPENMETRICS, "a 1 NaN\n# EOF\n"],
  [OPENMETRICS, "a 1 x\n# EOF\n"],
  [OPENMETRICS, 'a 1 # {x="y"}\n# EOF\n'],
  [OPENMETRICS, 'a 1 # {x="y"} z\n# EOF\n'],
  [OPENMETRICS, 'a 1 # {x="y"} 1 2 3\n# EOF\n'],
  [OPENMETRICS, 'a 1 # {"x"} 1\n# EOF\n'],
  [OPENMETRICS, 'a 1 # {x="y",z="w"} 1 2\n# EOF\n'],
  [OPENMETRICS, 'a{b="x\ny"} 1\n# EOF\n'],
  [OPENMETRICS, '{"a.b",c="d"} 1\n# EOF\n'],
  [OPENMETRICS, '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 1\n# EOF\n'],
  [OPENMETRICS, '# TYPE h gaugehistogram\nh_bucket{le="1"} 1\n# EOF\n'],
];

/** The same with settings of the scrape configuration: its YAML and what that means, then Content-Type and body. */
const CONFIGURED: readonly (readonly [
  yaml: string,
  config: Partial<ScrapeConfig>,
  type: string,
  body: string,
])[] = [
  ["sample_limit: 2", { sampleLimit: 2 }, TEXT, "a 1\nb 2\nc 3\nd 4\n"],
  ["sample_limit: 4", { sampleLimit: 4 }, TEXT, "a 1\nb 2\nc 3\nd 4\n"],
  ["label_limit: 4", { labelLimit: 4 }, TEXT, 'a 1\nb{x="1"} 2\nc 3\n'],
  ["label_name_length_limit: 9", { labelNameLengthLimit: 9 }, TEXT, 'a 1\na{long_name_é="1"} 2\n'],
  [
    "label_value_length_limit: 60",
    { labelValueLengthLimit: 60 },
    TEXT,
    `a 1\na{x="${"vé".repeat(30)}"} 2\n`,
  ],
  ["body_size_limit: 8B", { bodySizeLimit: 8 }, TEXT, "a 1\nb 2\n"],
  ["body_size_limit: 9B", { bodySizeLimit: 9 }, TEXT, "a 1\nb 2\n"],
  ["honor_labels: true", { honorLabels: true }, TEXT, 'a{job="x",instance=""} 1\nb{case="y"} 2\n'],
  ["honor_timestamps: false", { honorTimestamps: false }, TEXT, "a 1 1000\nb 2\n"],
  ["honor_timestamps: true", { honorTimestamps: true }, TEXT, "a 1\nb 2 99999999999999\n"],
  [
    "metric_name_validation_scheme: legacy\n    metric_name_escaping_scheme: underscores",
    { metricNameValidationScheme: "legacy" },
    TEXT,
    '{"a.b",c="d"} 1\n',
  ],
  [
    "fallback_scrape_protocol: PrometheusText0.0.4",
    { fallbackScrapeProtocol: "PrometheusText0.0.4" },
    "text/html",
    "a 1\n",
  ],
  [
    "fallback_scrape_protocol: OpenMetricsText1.0.0",
    { fallbackScrapeProtocol: "OpenMetricsText1.0.0" },
    "",
    "a 1\n",
  ],
  [
    'metric_relabel_configs: [{source_labels: [__name__], regex: "a|c", action: drop}]',
    { metricRelabelConfigs: [dropRule("a|c")] },
    TEXT,
    "a 1\nb 2\nc 3\nc 4\n",
  ],
  [
    "metric_relabel_configs: [{regex: __name__, action: labeldrop}]",
    { metricRelabelConfigs: [{ ...dropRule("__name__"), action: "labeldrop" }] },
    TEXT,
    "a 1\n",
  ],
];

/** All cases as (job, content type, body). */
const ALL = [
  ...CASES.map(([type, body]) => ({ job: "job", type, body })),
  ...CONFIGURED.map(([, , type, body], i) => ({ job: `job${i}`, type, body })),
];

interface Observed {
  readonly health: string;
  readonly error: string;
  readonly series: readonly string[];
}

test(
  "a real Prometheus makes the same of every body",
  { skip: skipWithoutParts(), timeout: 60_000 },
  async () => {
    const server = createServer((request, response) => {
      const { type, body } = ALL[Number(request.url!.slice(1))]!;
      if (type !== "") response.setHeader("content-type", type);
      response.end(body);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, "127.0.0.1", resolve);
    });
    const { port } = server.address() as AddressInfo;
    try {
      const [theirs, ours] = await Promise.all([byPrometheus(port), byShoal(port)]);
      const label = (observed: readonly Observed[]): unknown[] =>
        observed.map((one, i) => ({ ...ALL[i], ...one }));
      assert.deepEqual(label(ours), label(theirs));
    } finally {
      server.close();
      server.closeAllConnections();
    }
  },
);

async function byShoal(port: number): Promise<Observed[]> {
  const storage = new FakeStorage();
  const manager = new ScrapeManager({
    appendable: storage,
    logger: silentLogger,
    registry: new Registry(),
    userAgent: "Shoal/test",
    jitterSeedText: "x",
  });
  const targets = ALL.map(({ job }, i) =>
    targetOf(`http://127.0.0.1:${port}/${i}`, {
      job,
      labels: { instance: "e", case: String(i) },
      intervalMs: 3000,
      timeoutMs: 3000,
    }),
  );
  const configs = CONFIGURED.map(([, config], i) =>
    scrapeConfig({ ...config, jobName: `job${i}` }),
  );
  manager.apply({ config: configOf(scrapeConfig(), ...configs), targets });
  await until(() => Promise.resolve(manager.status().every((status) => status.scrapes > 0)));
  const status = manager.status();
  await manager.stop();
  const series = storage.batches.flat();
  return status.map((one, i) => {
    const mine = series.filter((sample) => sample.series.includes(`case="${i}"`));
    const first = mine[0]!.timeMs;
    return {
      health: one.health,
      error: one.lastError.replace(/ \(line \d+\)$/, ""),
      series: mine
        .filter((sample) => sample.timeMs === first)
        .map((sample) => shown(sample.series, Number(sample.value)))
        .sort(),
    };
  });
}

async function byPrometheus(port: number): Promise<Observed[]> {
  const group = (i: number): string =>
    `      - targets: ["127.0.0.1:${port}"]\n        labels: {instance: e, case: "${i}", __metrics_path__: "/${i}"}\n`;
  const jobs = [
    `  - job_name: job\n    static_configs:\n${CASES.map((_, i) => group(i)).join("")}`,
    ...CONFIGURED.map(
      ([yaml], i) =>
        `  - job_name: job${i}\n    ${yaml}\n    static_configs:\n${group(CASES.length + i)}`,
    ),
  ];
  const prometheus = await startPrometheus({
    config: `global: {scrape_interval: 3s, scrape_timeout: 3s}\nscrape_configs:\n${jobs.join("")}`,
  });
  const client = createHttpClient(plainHttpClient(), { userAgent: "Shoal/test" });
  const get = async (path: string): Promise<unknown> => {
    const response = await client.request({ url: `${prometheus!.url}${path}`, timeoutMs: 5000 });
    return JSON.parse(await readText(response.body, 1 << 24));
  };
  try {
    let targets: ApiTarget[] = [];
    await until(async () => {
      const answer = (await get("/api/v1/targets")) as { data: { activeTargets: ApiTarget[] } };
      targets = answer.data.activeTargets;
      return targets.length === ALL.length && targets.every((one) => one.health !== "unknown");
    });
    const query = encodeURIComponent('{case!=""}[5m]');
    const answer = (await get(`/api/v1/query?query=${query}`)) as {
      data: { result: { metric: Record<string, string>; values: [number, string][] }[] };
    };
    return ALL.map((_, i) => {
      const one = targets.find((target) => target.labels["case"] === String(i))!;
      return {
        health: one.health,
        // Some errors go on with what Go's mime package has to say.
        error: one.lastError.split("\n", 1)[0]!,
        series: answer.data.result
          .filter((row) => row.metric["case"] === String(i))
          .map((row) =>
            shown(Labels.fromObject(row.metric).toString(), parseFloatText(row.values[0]![1])!),
          )
          .sort(),
      };
    });
  } finally {
    await client.close();
    await prometheus!.stop();
  }
}

interface ApiTarget {
  readonly health: string;
  readonly lastError: string;
  readonly labels: Record<string, string>;
}

/** Durations differ from scrape to scrape. */
function shown(series: string, value: number): string {
  return `${series} ${series.includes('"scrape_duration_seconds"') ? "…" : value}`;
}

async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done()))
    await new Promise<void>((resolve) => {
      setTimeout(resolve, 50);
    });
}
