/**
 * Ingest beside a real Prometheus: both scrape the same exporter (10 targets × 10,000 series, every second), one after the
 * other, and pay for fetching, parsing, appending and logging. Prints CPU per sample, resident memory per series, and
 * the parser alone: inside Prometheus by its own CPU profile, inside Shoal over the same body.
 */
import { parseText } from "../../src/exposition/parse.ts";
import { ParsedColumns } from "../../src/exposition/columns.ts";
import { LineCache } from "../../src/scrape/line-cache.ts";
import { ScanScratch } from "../../src/scrape/scan-scratch.ts";
import { renderBody, startExporter } from "../support/exporter.ts";
import { cpuNanosUnder } from "../support/go-profile.ts";
import { cpuSeconds, rssBytes, sleep, startPrometheus } from "../../test/support/processes.ts";
import { APPENDED, metric, startOneShard } from "../support/scraping.ts";
import { median, report } from "../support/report.ts";

const TARGETS = 10;
const SERIES = 10_000;
const WARM_UP_MS = 12_000;
const WINDOW_MS = 20_000;
const PARSE_ROUNDS = 60;

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

async function measurePrometheus(): Promise<Ingest | undefined> {
  const prometheus = await startPrometheus({ config });
  if (prometheus === undefined) return undefined;
  try {
    const samples = (): Promise<number> => metric(prometheus.url, APPENDED);
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
  const { shoal, pid, url } = await startOneShard(config, TARGETS);
  try {
    return await watch(pid, () => metric(url, APPENDED));
  } finally {
    await shoal.stop();
  }
}

interface Body {
  readonly bytes: Uint8Array;
  readonly size: number;
}

function bodyOf(variant: number): Body {
  const text = Buffer.from(renderBody({ target: 0, series: SERIES, variant }));
  // The parser writes a sentinel into one byte past the end.
  const bytes = new Uint8Array(text.length + 1);
  bytes.set(text);
  return { bytes, size: text.length };
}

/** Nanoseconds per byte of `read`, which returns how many samples it found. */
function nanosPerByte(bodies: readonly Body[], read: (body: Body) => number): number {
  const spent: number[] = [];
  for (let i = 0; i < PARSE_ROUNDS; i++) {
    const body = bodies[i % bodies.length]!;
    const startMs = performance.now();
    const count = read(body);
    spent.push(((performance.now() - startMs) * 1e6) / body.size);
    if (count !== SERIES) throw new Error(`read ${count} samples, not ${SERIES}`);
  }
  return median(spent.slice(PARSE_ROUNDS / 2));
}

/** A body never seen before: every line is parsed. */
function measureFullParse(bodies: readonly Body[]): number {
  const columns = new ParsedColumns();
  return nanosPerByte(bodies, ({ bytes, size }) => {
    parseText(bytes, size, columns);
    return columns.count;
  });
}

/** What a scrape pays: series that the scrape before had too, with other values. */
function measureKnownParse(bodies: readonly Body[]): number {
  const cache = new LineCache(new ScanScratch(1));
  const rules = {
    labeler: () => undefined,
    honorTimestamps: true,
    trackTimestampsStaleness: false,
    sampleLimit: 0,
  };
  return nanosPerByte(bodies, ({ bytes, size }) => {
    const scan = cache.scan(bytes, size, { format: "text", rules, nowMs: 0 });
    cache.commit(scan);
    return scan.result.scraped;
  });
}

try {
  const theirs = await measurePrometheus();
  const ours = await measureShoal();
  const bodies = [0, 1, 2, 3].map(bodyOf);
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
    gate: "≤ 1,500 B",
  });
  // Prometheus parses known and unknown bodies alike, so its one figure stands beside both of ours.
  const theirParse = theirs?.parseNanosPerByte;
  for (const [name, ours] of [
    ["exposition parse, unknown body, per byte", measureFullParse(bodies)],
    ["exposition parse, known series, per byte", measureKnownParse(bodies)],
  ] as const)
    report({
      name,
      unit: "ns",
      ours,
      ...(theirParse !== undefined && { peer: theirParse }),
      better: "less",
      gate: "≥ 5×",
    });
} finally {
  exporter.stop();
}
