import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { parseListenAddress } from "../api/server.ts";
import type { Service } from "../base/service.ts";
import type { DEMO_EXPORTER_FLAGS } from "./commands.ts";
import type { FlagValues } from "./flags.ts";
import { loggerOf, runUntilSignal } from "./run-role.ts";

/**
 * The demonstration's targets: each exposes 10,000 series of one metric (4 labels of 10 values, names and values padded
 * to 20 characters) and the 45 series that a small Go program has, 10,045 in all.
 */
export const EXPORTER_SERIES = 10_045;
export const METRIC_SERIES = 10_000;

const LABELS = 4;
const VALUES = 10;

/** What the process says to its parent once all listen. */
export interface ExportersReadyMessage {
  readonly kind: "ready";
  readonly ports: readonly number[];
}

function padded(name: string, index: number): string {
  const text = `${name}${index}`;
  return `a${text.padStart(19, "0")}`;
}

/** Everything of each series line before its value. */
export function seriesPrefixes(): string[] {
  const metric = padded("metrics", 0);
  return Array.from({ length: VALUES ** LABELS }, (_, series) => {
    let rest = series;
    const labels: string[] = [];
    for (let label = 0; label < LABELS; label++) {
      labels.push(`${padded("label", label)}="${padded("value", rest % VALUES)}"`);
      rest = Math.floor(rest / VALUES);
    }
    return `${metric}{${labels.join(",")}} `;
  });
}

export class MetricGenerator {
  readonly #prefixes = seriesPrefixes();
  readonly #startedMs = Date.now();
  #scrapes = 0;

  /** One exposition; values change from one to the next. */
  expose(): string {
    const scrape = ++this.#scrapes;
    const lines: string[] = [
      `# HELP ${padded("metrics", 0)} generated`,
      `# TYPE ${padded("metrics", 0)} gauge`,
    ];
    for (let i = 0; i < this.#prefixes.length; i++)
      lines.push(`${this.#prefixes[i]}${(i * 7 + scrape * 13) % 1000}`);
    lines.push(...this.#processLines(scrape), "");
    return lines.join("\n");
  }

  #processLines(scrape: number): string[] {
    const { rss, heapUsed, heapTotal } = process.memoryUsage();
    const lines: string[] = [];
    const add = (name: string, type: string, samples: Readonly<Record<string, number>>): void => {
      lines.push(`# HELP ${name} of the generator`, `# TYPE ${name} ${type}`);
      for (const [suffix, value] of Object.entries(samples))
        lines.push(`${name}${suffix} ${value}`);
    };
    add("go_gc_duration_seconds", "summary", {
      '{quantile="0"}': 0.00001,
      '{quantile="0.25"}': 0.00002,
      '{quantile="0.5"}': 0.00003,
      '{quantile="0.75"}': 0.00004,
      '{quantile="1"}': 0.0001,
      _sum: scrape * 0.00003,
      _count: scrape,
    });
    add("go_goroutines", "gauge", { "": 10 });
    add("go_info", "gauge", { '{version="go1.0"}': 1 });
    for (const name of GAUGES) add(`go_memstats_${name}`, "gauge", { "": heapUsed });
    for (const name of COUNTERS) add(`go_memstats_${name}`, "counter", { "": scrape * heapTotal });
    add("go_threads", "gauge", { "": 8 });
    add("process_cpu_seconds_total", "counter", { "": process.cpuUsage().user / 1e6 });
    add("process_max_fds", "gauge", { "": 1_048_576 });
    add("process_open_fds", "gauge", { "": 10 });
    add("process_resident_memory_bytes", "gauge", { "": rss });
    add("process_start_time_seconds", "gauge", { "": this.#startedMs / 1000 });
    add("process_virtual_memory_bytes", "gauge", { "": 2 * rss });
    add("process_virtual_memory_max_bytes", "gauge", { "": 2 ** 53 });
    add("promhttp_metric_handler_requests_in_flight", "gauge", { "": 1 });
    add("promhttp_metric_handler_requests_total", "counter", {
      '{code="200"}': scrape,
      '{code="500"}': 0,
      '{code="503"}': 0,
    });
    return lines;
  }
}

const GAUGES = [
  "alloc_bytes",
  "buck_hash_sys_bytes",
  "gc_cpu_fraction",
  "gc_sys_bytes",
  "heap_alloc_bytes",
  "heap_idle_bytes",
  "heap_inuse_bytes",
  "heap_objects",
  "heap_released_bytes",
  "heap_sys_bytes",
  "last_gc_time_seconds",
  "mcache_inuse_bytes",
  "mcache_sys_bytes",
  "mspan_inuse_bytes",
  "mspan_sys_bytes",
  "next_gc_bytes",
  "other_sys_bytes",
  "stack_inuse_bytes",
  "stack_sys_bytes",
  "sys_bytes",
];
const COUNTERS = ["alloc_bytes_total", "frees_total", "lookups_total", "mallocs_total"];

/** Answers the probes of a pod too; all other paths are `/metrics`. */
function createExporter(): Server {
  const generator = new MetricGenerator();
  return createServer((request, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4; charset=utf-8");
    response.end(request.url?.startsWith("/-/") === true ? "ok\n" : generator.expose());
  });
}

/** `shoal demo-exporter`: one target of the demonstration. */
export async function runExporter(flags: FlagValues<typeof DEMO_EXPORTER_FLAGS>): Promise<void> {
  const logger = loggerOf(flags);
  const exporter = createExporter();
  const service: Service = {
    name: "exporter",
    async start() {
      exporter.listen(parseListenAddress(flags.listenAddress));
      await once(exporter, "listening");
      logger.info("exporting", { series: EXPORTER_SERIES, listen: flags.listenAddress });
    },
    async stop() {
      exporter.closeAllConnections();
      exporter.close();
    },
  };
  await runUntilSignal([service], { logger });
}

/** Serves `count` exporters on free loopback ports until the parent is gone. */
export async function runExporters(count: number): Promise<void> {
  const ports = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createExporter();
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      server.once("error", reject).listen(0, "127.0.0.1", resolve);
      await promise;
      const address: AddressInfo | string | null = server.address();
      return typeof address === "object" && address !== null ? address.port : 0;
    }),
  );
  const message: ExportersReadyMessage = { kind: "ready", ports };
  process.send?.(message);
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  for (const event of ["disconnect", "SIGTERM", "SIGINT"]) process.once(event, () => resolve());
  await gone;
}
