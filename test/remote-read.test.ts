import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  apiData,
  freePort,
  type RunningProcess,
  skipWithoutParts,
  sleep,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

/**
 * A real Prometheus and `shoal up` read from the same remotes, a real Prometheus and another Shoal, as the same
 * configuration says: all answers must be equal.
 */
const SCRAPED = `
global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {cluster: c, zone: z}}
scrape_configs: [{job_name: self, scrape_protocols: [PrometheusProto], static_configs: [{targets: ["TARGET"]}]}]
`;

const EXTERNAL = "global: {external_labels: {cluster: c, zone: z}}";
const endpoint = (more = ""): string => `{url: "REMOTE/api/v1/read"${more}}`;
const RECENT = ", read_recent: true";

/** Each a configuration of the readers. */
const CONFIGS: readonly (readonly [name: string, text: string])[] = [
  ["plain", `remote_read: [${endpoint(RECENT)}]`],
  ["nothing local yet", `remote_read: [${endpoint()}]`],
  ["external labels", `${EXTERNAL}\nremote_read: [${endpoint(RECENT)}]`],
  [
    "external labels kept",
    `${EXTERNAL}\nremote_read: [${endpoint(`${RECENT}, filter_external_labels: false`)}]`,
  ],
  [
    "another external label",
    `global: {external_labels: {cluster: other}}\nremote_read: [${endpoint(RECENT)}]`,
  ],
  ["required", `remote_read: [${endpoint(`${RECENT}, required_matchers: {job: self}`)}]`],
  ["twice", `remote_read: [${endpoint(`${RECENT}, name: a`)}, ${endpoint(`${RECENT}, name: b`)}]`],
  [
    "one that is away",
    `remote_read: [${endpoint(RECENT)}, {url: "http://127.0.0.1:1/api/v1/read", read_recent: true}]`,
  ],
  ["none", ""],
];

const QUERIES: readonly string[] = [
  "up",
  'up{job="self"}',
  'up{cluster="c"}',
  'up{cluster="other"}',
  'up{cluster=~"c|d", zone!="z"}',
  'up{job!="self"}',
  "sum by (handler) (rate(prometheus_http_requests_total[10s]))",
  'count by (__name__) ({job="self"})',
  "histogram_count(prometheus_http_request_duration_seconds)",
  // Not of a rate: 3.5 extrapolates those of histograms below zero, later ones and Shoal do not.
  'histogram_quantile(0.9, sum(prometheus_http_request_duration_seconds{job="self"}))',
  'changes(prometheus_http_request_duration_seconds{job="self"}[10s])',
  "absent(up)",
  "max_over_time(up[5s] offset 1s)",
];

type Question = readonly [path: string, parameters: Record<string, string>];

function questions(endSeconds: number): Question[] {
  const end = String(endSeconds);
  const start = String(endSeconds - 5);
  const queries = QUERIES.flatMap((query): Question[] => [
    ["query", { query, time: end }],
    ["query_range", { query, start, end, step: "1" }],
  ]);
  return [...queries, ["series", { "match[]": "up", start, end }]];
}

interface Answer {
  readonly status: string;
  readonly data: unknown;
  readonly warnings?: readonly string[];
}

async function answer(
  url: string,
  path: string,
  parameters: Record<string, string>,
): Promise<unknown> {
  const response = await fetch(
    `${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`,
  );
  const { status, data, warnings = [] } = (await response.json()) as Answer;
  const remote = warnings.filter((warning) => warning.startsWith("remote_read:"));
  // Prometheus lists series without a word about remotes that did not answer.
  return { status, data: sorted(data), remoteWarnings: path === "series" ? 0 : remote.length };
}

/** Vectors and lists of series have no order of their own. */
function sorted(data: unknown): unknown {
  const result: unknown =
    typeof data === "object" && data !== null && "result" in data ? data.result : data;
  if (!Array.isArray(result)) return result;
  return result.map((each: unknown) => canonical(each)).sort();
}

const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );

test(
  "a real Prometheus and Shoal read the same from the same remotes",
  { skip: skipWithoutParts(), timeout: 240_000 },
  async () => {
    const running: RunningProcess[] = [];
    const run = async <T extends RunningProcess | undefined>(
      starting: Promise<T>,
    ): Promise<NonNullable<T>> => {
      const started = await starting;
      assert.ok(started !== undefined);
      running.push(started);
      return started as NonNullable<T>;
    };
    try {
      const port = await freePort();
      const scraped = SCRAPED.replace("TARGET", `127.0.0.1:${port}`);
      const flags = ["--enable-feature=native-histograms"];
      const prometheus = await run(startPrometheus({ config: scraped, port, flags }));
      const shoal = await run(
        startShoal({
          args: ["up", "--shard.max-shard=1", "--coordinator.interval=1s"],
          config: scraped.replace("global: {", "global: {scrape_native_histograms: true, "),
        }),
      );
      const folder = temporaryFolder("remote-read");
      const configFile = join(folder, "prometheus.yml");
      writeFileSync(configFile, "");
      const lifecycle = "--web.enable-lifecycle";
      const real = await run(startPrometheus({ configFile, flags: [lifecycle, ...flags] }));
      const reader = await run(
        startShoal({
          args: [
            "up",
            lifecycle,
            "--shard.max-shard=1",
            `--config.file=${configFile}`,
            `--storage.tsdb.path=${join(folder, "data")}`,
          ],
        }),
      );
      for (const remote of [prometheus, shoal])
        await until("some scrapes are there", async () => {
          const { result } = await apiData<{ result: { value: [number, string] }[] }>(
            `${remote.url}/api/v1/query?query=${encodeURIComponent("count_over_time(up[1m])")}`,
          );
          return Number(result[0]?.value[1]) >= 6 ? true : undefined;
        });
      // Scrapes under way have landed.
      await sleep(1500);
      const endSeconds = Math.floor(Date.now() / 1000) - 2;
      for (const remote of [prometheus, shoal])
        for (const [name, text] of CONFIGS) {
          writeFileSync(configFile, text.replaceAll("REMOTE", remote.url));
          for (const { url } of [real, reader])
            assert.equal((await fetch(`${url}/-/reload`, { method: "POST" })).status, 200, name);
          for (const [path, parameters] of questions(endSeconds))
            assert.deepEqual(
              await answer(reader.url, path, parameters),
              await answer(real.url, path, parameters),
              `${name}: ${path} ${JSON.stringify(parameters)} from ${remote === shoal ? "Shoal" : "Prometheus"}`,
            );
        }
    } finally {
      await Promise.all(running.map((each) => each.stop()));
    }
  },
);
