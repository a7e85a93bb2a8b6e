/**
 * The sending side of remote write beside a real Prometheus: both scrape the same exporter (2 targets × 10,000 series, every
 * second), first without a remote, then with two that lead to the same receiver. What the remotes add to the CPU of the
 * whole process is what sending costs: reading the log, encoding, snappy, HTTP. Prints it per sample sent.
 */
import { cpuSeconds, sleep, startPrometheus } from "../../test/support/processes.ts";
import { startExporter } from "../support/exporter.ts";
import { report } from "../support/report.ts";
import { APPENDED, metric, startOneShard } from "../support/scraping.ts";
import { startWriteSink } from "../support/write-sink.ts";

const TARGETS = 2;
const SERIES = 10_000;
const REMOTES = 2;
const WARM_UP_MS = 12_000;
const WINDOW_MS = 20_000;
/** Whoever sends less than this share of what it stores has fallen behind, and its figure says nothing. */
const SENT_SHARE = 0.8;

const MESSAGES = {
  "1.0": "prometheus.WriteRequest",
  "2.0": "io.prometheus.write.v2.Request",
} as const;
type Version = keyof typeof MESSAGES;

const exporter = await startExporter({ targets: TARGETS, series: SERIES });
const sink = await startWriteSink();

function configOf(version: Version | undefined): string {
  const remotes = Array.from(
    { length: REMOTES },
    (_, i) => `  - {name: r${i}, url: "${sink.url}", protobuf_message: ${MESSAGES[version!]}}\n`,
  );
  return `global: { scrape_interval: 1s, scrape_timeout: 1s }
${version === undefined ? "" : `remote_write:\n${remotes.join("")}`}scrape_configs:
  - job_name: bench
    static_configs:
      - targets: [${exporter.ports.map((port) => `"127.0.0.1:${port}"`).join(", ")}]
`;
}

interface Cost {
  /** CPU time for each sample that is stored, in ns. */
  readonly nanos: number;
  /** Samples sent for each one that is stored. */
  readonly sent: number;
}

async function watch({ pid, url }: { pid: number; url: string }): Promise<Cost> {
  await sleep(WARM_UP_MS);
  const stored = (): Promise<number> => metric(url, APPENDED);
  const [cpu, storedBefore, sentBefore] = [cpuSeconds(pid), await stored(), await sink.count()];
  await sleep(WINDOW_MS);
  const samples = (await stored()) - storedBefore;
  return {
    nanos: ((cpuSeconds(pid) - cpu) * 1e9) / samples,
    sent: ((await sink.count()) - sentBefore) / samples,
  };
}

async function prometheusCost(version: Version | undefined): Promise<Cost | undefined> {
  const prometheus = await startPrometheus({ config: configOf(version) });
  if (prometheus === undefined) return undefined;
  try {
    return await watch(prometheus);
  } finally {
    await prometheus.stop();
  }
}

async function shoalCost(version: Version | undefined): Promise<Cost> {
  const shard = await startOneShard(configOf(version), TARGETS);
  try {
    return await watch(shard);
  } finally {
    await shard.shoal.stop();
  }
}

/** What sending one sample adds, in ns. */
function added(name: string, without: Cost, cost: Cost): number {
  if (cost.sent < SENT_SHARE * REMOTES)
    throw new Error(`${name} sent ${cost.sent} samples for each one, not ${REMOTES}`);
  return (cost.nanos - without.nanos) / cost.sent;
}

try {
  const ours = await shoalCost(undefined);
  const theirs = await prometheusCost(undefined);
  for (const version of ["1.0", "2.0"] as const) {
    const cost = await shoalCost(version);
    const peer = await prometheusCost(version);
    report({
      name: `remote write ${version} sent, CPU per sample`,
      unit: "ns",
      ours: added("Shoal", ours, cost),
      ...(peer && theirs && { peer: added("Prometheus", theirs, peer) }),
      better: "less",
    });
  }
} finally {
  exporter.stop();
  sink.stop();
}
