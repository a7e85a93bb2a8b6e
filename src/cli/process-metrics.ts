import { readdirSync } from "node:fs";
import { constants, PerformanceObserver } from "node:perf_hooks";
import type { Registry } from "../base/metrics.ts";
import { COMPATIBLE_PROMETHEUS_VERSION, VERSION } from "../base/version.ts";

/** What every process of Shoal says of itself; names are those of Prometheus's and Node's usual clients. */
export function registerProcessMetrics(registry: Registry): void {
  const gauge = (name: string, help: string, read: () => number): void =>
    registry.collect({ name, help, type: "gauge" }, {}, read);
  registry
    .gauge("shoal_build_info", "Version of this program.", {
      version: VERSION,
      compatible_prometheus: COMPATIBLE_PROMETHEUS_VERSION,
      node: process.versions.node,
    })
    .set(1);
  registry.collect(
    {
      name: "process_cpu_seconds_total",
      help: "Total user and system CPU time spent in seconds.",
      type: "counter",
    },
    {},
    () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  );
  const startSeconds = Date.now() / 1000 - process.uptime();
  gauge(
    "process_start_time_seconds",
    "Start time of the process since unix epoch in seconds.",
    () => startSeconds,
  );
  gauge("process_resident_memory_bytes", "Resident memory size in bytes.", () =>
    process.memoryUsage.rss(),
  );
  gauge("process_open_fds", "Number of open file descriptors.", openDescriptors);
  gauge(
    "nodejs_heap_size_used_bytes",
    "Memory used by JavaScript objects.",
    () => process.memoryUsage().heapUsed,
  );
  gauge(
    "nodejs_heap_size_total_bytes",
    "Memory reserved for JavaScript objects.",
    () => process.memoryUsage().heapTotal,
  );
  gauge(
    "nodejs_external_memory_bytes",
    "Memory of buffers outside the heap.",
    () => process.memoryUsage().external,
  );
  observeCollections(registry);
}

function openDescriptors(): number {
  try {
    return readdirSync("/proc/self/fd").length;
  } catch {
    return 0;
  }
}

/** Pauses of the garbage collector, by kind. */
function observeCollections(registry: Registry): void {
  const kinds = new Map([
    [constants.NODE_PERFORMANCE_GC_MAJOR, "major"],
    [constants.NODE_PERFORMANCE_GC_MINOR, "minor"],
    [constants.NODE_PERFORMANCE_GC_INCREMENTAL, "incremental"],
    [constants.NODE_PERFORMANCE_GC_WEAKCB, "weakcb"],
  ]);
  const name = "nodejs_gc_duration_seconds";
  const histograms = new Map(
    [...kinds].map(([kind, text]) => [
      kind,
      registry.histogram(name, "Pauses of the garbage collector.", {
        bounds: [0.001, 0.01, 0.1, 1, 2, 5],
        labels: { kind: text },
      }),
    ]),
  );
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const detail: unknown = "detail" in entry ? entry.detail : undefined;
      const kind: unknown =
        typeof detail === "object" && detail !== null ? Reflect.get(detail, "kind") : undefined;
      if (typeof kind === "number") histograms.get(kind)?.observe(entry.duration / 1000);
    }
  });
  observer.observe({ entryTypes: ["gc"] });
}
