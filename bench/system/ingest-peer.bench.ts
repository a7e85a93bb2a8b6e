/**
 * Ingest beside a real Prometheus: both scrape the same exporter (10 targets × 10,000 series, every second), one after the
 * other, and pay for fetching, parsing, appending and logging. Prints CPU per sample, resident memory per series, and
 * the parser alone: inside Prometheus by its own CPU profile, inside Shoal over the same body.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseText } from "../../src/exposition/parse.ts";
import { ParsedColumns } from "../../src/exposition/columns.ts";
import { renderBody, startExporter } from "../support/exporter.ts";
import { cpuNanosUnder } from "../support/go-profile.ts";
import {
  cpuSeconds,
  freePort,
  rssBytes,
  startPrometheus,
  stopProcess,
  untilReady,
} from "../support/prometheus.ts";
import { median, report } from "../support/report.ts";

const TARGETS = 10;
const SERIES = 10_000;
const WARM_UP_MS = 12_000;
const WINDOW_MS = 20_000;
const PARSE_ROUNDS = 60;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const exporter = await startExporter({ targets: TARGETS, series: SERIES });
const config = `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: bench
    static_configs:
      - targets: [${exporter.ports.map((port) => `"127.0.0.1:${port}"`).join(", ")}]
`;

interface Ingest {
  readonly cpuNanosPerSample: number;
  readonly rssPerSeries: number;
  readonly parseNanosPerByte: number | undefined;
}

/** Watches a scraping process for a window: `samples` reads how many samples it has stored so far. */
async function watch(pid: number, samples: () => Promise<number>): Promise<Ingest> {
  await sleep(WARM_UP_MS);
  const [cpuBefore, samplesBefore] = [cpuSeconds(pid), await samples()];
  await sleep(WINDOW_MS);
  const stored = (await samples()) - samplesBefore;
  return {
    cpuNanosPerSample: ((cpuSeconds(pid) - cpuBefore) * 1e9) / stored,
    rssPerSeries: rssBytes(pid) / (TARGETS * SERIES),
    parseNanosPerByte: undefined,
  };
}

async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  let sum = 0;
  for (const line of text.split("\n"))
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      sum += Number(line.slice(line.lastIndexOf(" ")));
  return sum;
}

async function measurePrometheus(): Promise<Ingest | undefined> {
  const prometheus = await startPrometheus({ config });
  if (prometheus === undefined) return undefined;
  try {
    const samples = (): Promise<number> =>
      metric(prometheus.url, "prometheus_tsdb_head_samples_appended_total");
    const ingest = await watch(prometheus.pid, samples);
    const before = await samples();
    const { matching } = await cpuNanosUnder(prometheus.url, {
      seconds: 10,
      namePart: "model/textparse.",
    });
    const bodies = ((await samples()) - before) / (SERIES + 5);
    return { ...ingest, parseNanosPerByte: matching / (bodies * exporter.bodyBytes) };
  } finally {
    await prometheus.stop();
  }
}

async function measureShoal(): Promise<Ingest> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-bench-shard-"));
  writeFileSync(join(folder, "prometheus.yml"), config);
  const port = await freePort();
  // One shard for all: the whole system's share of the work is in the process that scrapes.
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "src/cli/main.ts",
      "up",
      `--config.file=${join(folder, "prometheus.yml")}`,
      `--storage.tsdb.path=${join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--shard.min-shard=1",
      "--shard.max-shard=1",
      "--coordinator.interval=1s",
      "--log.level=error",
    ],
    { stdio: ["ignore", "ignore", "inherit"] },
  );
  try {
    const url = `http://127.0.0.1:${port}`;
    await untilReady(url, child);
    const shard = await untilScraping(url);
    return await watch(shard.pid, () =>
      metric(`http://${shard.http}`, "prometheus_tsdb_head_samples_appended_total"),
    );
  } finally {
    await stopProcess(child, folder);
  }
}

async function untilScraping(url: string): Promise<{ http: string; pid: number }> {
  for (let i = 0; i < 300; i++) {
    const answer: { data?: { shards?: { http: string; pid: number; targets: number }[] } } =
      (await (await fetch(`${url}/api/v1/shards`)).json().catch(() => ({}))) as never;
    const shard = answer.data?.shards?.find(({ targets }) => targets === TARGETS);
    if (shard !== undefined) return shard;
    await sleep(200);
  }
  throw new Error("no shard has all targets after 60 s");
}

function measureParser(): number {
  const body = Buffer.from(renderBody({ target: 0, series: SERIES, variant: 1 }));
  const columns = new ParsedColumns();
  const spent: number[] = [];
  for (let i = 0; i < PARSE_ROUNDS; i++) {
    const startMs = performance.now();
    parseText(body, body.length, columns);
    spent.push(performance.now() - startMs);
  }
  if (columns.count !== SERIES) throw new Error(`parsed ${columns.count} samples, not ${SERIES}`);
  return (median(spent.slice(PARSE_ROUNDS / 2)) * 1e6) / body.length;
}

try {
  const theirs = await measurePrometheus();
  const ours = await measureShoal();
  const parse = measureParser();
  report({
    name: "ingest, CPU per scraped sample",
    unit: "ns",
    ours: ours.cpuNanosPerSample,
    ...(theirs && { peer: theirs.cpuNanosPerSample }),
    better: "less",
    gate: "≥ 3×, goal 5×",
  });
  report({
    name: `RSS per series while scraping ${TARGETS * SERIES}`,
    unit: "B",
    ours: ours.rssPerSeries,
    ...(theirs && { peer: theirs.rssPerSeries }),
    better: "less",
  });
  report({
    name: "exposition parse, per byte",
    unit: "ns",
    ours: parse,
    ...(theirs?.parseNanosPerByte !== undefined && { peer: theirs.parseNanosPerByte }),
    better: "less",
    gate: "≥ 5×",
  });
} finally {
  exporter.stop();
}
