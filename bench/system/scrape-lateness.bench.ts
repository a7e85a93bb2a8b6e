/**
 * How late scrapes begin while their samples are queried all the time: one shard of `shoal up`, which computes the
 * aggregations over its own head in the thread that scrapes, and a real Prometheus with one core. Both scrape 200 targets × 500
 * series every second; the targets note when they are asked. A scrape that is left out is a second late.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { startPrometheus } from "../../test/support/processes.ts";
import { report, round } from "../support/report.ts";
import { metric, startOneShard } from "../support/scraping.ts";

const TARGETS = 200;
const SERIES = 500;
const INTERVAL_MS = 1000;
const FILL_MS = 45_000;
const WINDOW_MS = 20_000;
const QUERY = "sum by (job) (rate(x_total[5m]))";
const CLIENTS = 2;

/** Targets in this process, and when each was asked. */
class Targets {
  readonly #servers: Server[] = [];
  #times: number[][] = [];

  static async start(): Promise<Targets> {
    const targets = new Targets();
    for (let target = 0; target < TARGETS; target++) {
      let scrapes = 0;
      const bodies = [1, 2, 3, 4].map((variant) => Buffer.from(body(variant)));
      const server = createServer((_, response) => {
        targets.#times[target]?.push(performance.now());
        response
          .writeHead(200, { "Content-Type": "text/plain; version=0.0.4" })
          .end(bodies[scrapes++ % bodies.length]);
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      targets.#servers.push(server);
    }
    return targets;
  }

  get config(): string {
    const list = this.#servers.map(
      (server) => `"127.0.0.1:${(server.address() as AddressInfo).port}"`,
    );
    return `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: bench, static_configs: [{ targets: [${list.join(", ")}] }] }]
`;
  }

  /** When each target was asked during `act`. */
  async during(act: () => Promise<unknown>): Promise<readonly (readonly number[])[]> {
    this.#times = this.#servers.map(() => []);
    await act();
    const times = this.#times;
    this.#times = [];
    return times;
  }

  close(): void {
    for (const server of this.#servers) {
      server.closeAllConnections();
      server.close();
    }
  }
}

function body(variant: number): string {
  const line = (i: number): string => `x_total{i="${i}",kind="${i % 7}"} ${1000 + variant * i}\n`;
  return `# TYPE x_total counter\n${Array.from({ length: SERIES }, (_, i) => line(i)).join("")}`;
}

/** Where in the interval each target is to be asked: as early as it was in a quiet time. */
function phasesOf(quiet: readonly (readonly number[])[]): number[] {
  return quiet.map((times) => {
    const [first] = times;
    if (first === undefined) throw new Error("a target was not scraped");
    const half = INTERVAL_MS / 2;
    const early = times.map((time) => mod(time - first + half) - half);
    return first + Math.min(...early);
  });
}

/** How late each scrape of a window was, ascending. */
function lateness(times: readonly (readonly number[])[], phases: readonly number[]): number[] {
  const all: number[] = [];
  for (const [target, own] of times.entries()) {
    for (const time of own) all.push(mod(time - phases[target]!));
    for (let i = 1; i < own.length; i++) {
      const leftOut = Math.round((own[i]! - own[i - 1]!) / INTERVAL_MS) - 1;
      for (let k = 0; k < leftOut; k++) all.push(INTERVAL_MS);
    }
  }
  return all.sort((a, b) => a - b);
}

const mod = (ms: number): number => ((ms % INTERVAL_MS) + INTERVAL_MS) % INTERVAL_MS;
const at = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;
const shown = (sorted: readonly number[]): string =>
  `p50 ${round(at(sorted, 0.5))}, p99 ${round(at(sorted, 0.99))}, at most ${round(at(sorted, 1))} ms`;

interface Outcome {
  readonly quiet: readonly number[];
  readonly busy: readonly number[];
}

/** What scrapes has been started; `url` answers queries. */
async function measure(name: string, targets: Targets, url: string): Promise<Outcome> {
  await sleep(FILL_MS);
  const before = await targets.during(() => sleep(WINDOW_MS));
  let queries = 0;
  const during = await targets.during(async () => {
    const untilMs = performance.now() + WINDOW_MS;
    const client = async (): Promise<void> => {
      for (; performance.now() < untilMs; queries++) await ask(url);
    };
    await Promise.all([...Array.from({ length: CLIENTS }, client), sleep(WINDOW_MS)]);
  });
  const phases = phasesOf(before);
  const [quiet, busy] = [lateness(before, phases), lateness(during, phases)];
  console.log(
    `${name}: scrapes begin late by ${shown(quiet)}; during ${queries} queries in ${WINDOW_MS / 1000} s by ${shown(busy)}`,
  );
  return { quiet, busy };
}

async function ask(url: string): Promise<void> {
  const end = Date.now() / 1000;
  const parameters = { query: QUERY, start: String(end - 60), end: String(end), step: "1" };
  const response = await fetch(`${url}/api/v1/query_range`, {
    method: "POST",
    body: new URLSearchParams(parameters),
  });
  const text = await response.text();
  if (!text.includes('"job":"bench"')) throw new Error(`no answer: ${text.slice(0, 300)}`);
}

const targets = await Targets.start();
try {
  const { shoal, url } = await startOneShard(targets.config, TARGETS);
  let ours: Outcome;
  try {
    ours = await measure("Shoal", targets, shoal.url);
    const pushed = await metric(shoal.url, 'shoal_query_pushdown_total{outcome="pushed"}');
    console.log(`${pushed} aggregations were computed by the shard ${url}`);
  } finally {
    await shoal.stop();
  }
  process.env["GOMAXPROCS"] = "1";
  const prometheus = await startPrometheus({ config: targets.config });
  let theirs: Outcome | undefined;
  try {
    if (prometheus !== undefined) theirs = await measure("Prometheus", targets, prometheus.url);
  } finally {
    await prometheus?.stop();
  }
  for (const [what, share] of [
    ["p50", 0.5],
    ["p99", 0.99],
    ["at most", 1],
  ] as const)
    report({
      name: `lateness of scrapes while the shard evaluates, ${what}`,
      unit: "ms",
      ours: at(ours.busy, share),
      ...(theirs && { peer: at(theirs.busy, share) }),
      better: "less",
      ...(share === 0.99 && { gate: "≤ 500 ms" }),
    });
} finally {
  targets.close();
}
