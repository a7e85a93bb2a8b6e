/** Series and samples to fill a head with; tsdb-peer/main.go makes the same ones. */
import { Labels } from "../../src/model/labels.ts";

/** What one scrape brings. */
export const SCRAPE_SAMPLES = 10_000;
export const STEP_MS = 15_000;

/** Nine labels, shaped like those of cAdvisor: 50 series a pod. */
export function labelsOf(i: number): Labels {
  const pod = Math.floor(i / 50);
  const k = i % 50;
  return Labels.fromSorted([
    "__name__",
    `container_stat_${Math.floor(k / 5)}`,
    "cluster",
    "c1",
    "container",
    `c${k % 5}`,
    "instance",
    `10.0.${pod >> 8}.${pod & 255}:10250`,
    "job",
    "cadvisor",
    "namespace",
    `ns-${pod % 200}`,
    "node",
    `node-${pod % 500}`,
    "pod",
    `app-${(Math.imul(pod, 0x9e3779b1) >>> 0).toString(16)}-${pod}`,
    "stat",
    `stat_${k % 7}`,
  ]);
}

/** The first value of each of `count` counters, before it has grown. */
export function firstValues(count: number): Float64Array<ArrayBuffer> {
  return Float64Array.from({ length: count }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 12);
}

/** By how much counter `i` grows with sample `k`: every third one stands still. */
export function growth(i: number, k: number): number {
  return i % 3 === 0 ? 0 : (Math.imul(i * 31 + k, 0x9e3779b1) >>> 16) % 100;
}
