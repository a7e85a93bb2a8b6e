import { Labels } from "../../src/model/labels.ts";
import { MemorySource } from "./memory-source.ts";

/** Between samples. */
export const SOURCE_STEP_MS = 15_000;

/** Counters `requests_total` of 20 jobs, each scraped at a place of its own within the interval, some with resets. */
export function requestsSource(size: { seriesCount: number; sampleCount: number }): MemorySource {
  const { seriesCount, sampleCount } = size;
  const filled = new MemorySource();
  const times = new Float64Array(sampleCount);
  const values = new Float64Array(sampleCount);
  let state = 1;
  const random = (): number => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31;
  for (let i = 0; i < seriesCount; i++) {
    let total = Math.floor(random() * 1e6);
    // Each target is scraped at a place of its own within the interval, a few ms off.
    const offset = Math.floor(random() * SOURCE_STEP_MS);
    for (let k = 0; k < sampleCount; k++) {
      times[k] = k * SOURCE_STEP_MS + offset + Math.floor(random() * 5);
      total = random() < 0.001 ? 0 : total + Math.floor(random() * 100);
      values[k] = total;
    }
    const labels = Labels.fromPairs([
      ["__name__", "requests_total"],
      ["job", `job-${i % 20}`],
      ["instance", `10.0.${i >> 8}.${i & 255}:9100`],
      ["code", String(200 + (i % 3))],
    ]);
    filled.add(labels, times, values);
  }
  return filled;
}
