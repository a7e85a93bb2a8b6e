import { seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";

export const START_MS = 1_700_000_000_000;
const SAMPLES = 241;
export const INTERVAL_MS = 15_000;

export interface TestSeries {
  readonly labels: Labels;
  readonly times: number[];
  readonly values: number[];
}

/** Counters with resets and gaps, gauges with NaN and infinities, classic histograms, values at the edges. */
export function createFloatData(): TestSeries[] {
  const random = seededRandom(42);
  const all: TestSeries[] = [];
  const add = (pairs: Record<string, string>, valueAt: (k: number) => number | undefined): void => {
    const times: number[] = [];
    const values: number[] = [];
    for (let k = 0; k < SAMPLES; k++) {
      const value = valueAt(k);
      if (value === undefined) continue;
      times.push(START_MS + k * INTERVAL_MS + (pairs["instance"] === "b:80" ? 3210 : 0));
      values.push(value);
    }
    all.push({ labels: Labels.fromObject(pairs), times, values });
  };
  const counter = (resetChance: number, gapChance: number): ((k: number) => number | undefined) => {
    let total = random.next() * 1000;
    let gap = 0;
    return () => {
      total = random.next() < resetChance ? random.next() * 5 : total + random.next() * 20;
      if (gap > 0) gap--;
      else if (random.next() < gapChance) gap = Math.floor(random.next() * 30);
      return gap > 0 ? undefined : total;
    };
  };
  for (const job of ["api", "web"])
    for (const instance of ["a:80", "b:80", "c:80"]) {
      for (const code of ["200", "404", "500"])
        add({ __name__: "requests_total", job, instance, code }, counter(0.02, 0.01));
      add({ __name__: "errors_total", job, instance }, counter(0.05, 0.02));
      add({ __name__: "temperature", job, instance }, (k) =>
        random.next() < 0.03
          ? [NaN, Infinity, -Infinity, -0, 0][Math.floor(random.next() * 5)]
          : Math.sin(k / 10) * 1e3 * random.next(),
      );
      add({ __name__: "size_bytes", job, instance }, () => Math.floor(random.next() * 8));
      add(
        { __name__: "build_info", job, instance, version: instance === "a:80" ? "1.2" : "1.10" },
        () => 1,
      );
      const counts = [0, 0, 0, 0, 0, 0];
      const bounds = ["0.1", "0.5", "1.0", "2.5", "10.0", "+Inf"];
      const observe = (): void => {
        for (let i = 0; i < 5; i++) {
          const bucket = Math.floor(random.next() * 6);
          for (let b = bucket; b < 6; b++) counts[b]!++;
        }
      };
      const rows = Array.from({ length: SAMPLES }, () => {
        observe();
        return [...counts];
      });
      for (const [index, le] of bounds.entries())
        add({ __name__: "latency_seconds_bucket", job, instance, le }, (k) => rows[k]![index]!);
      add({ __name__: "latency_seconds_sum", job, instance }, (k) => rows[k]![5]! * 1.7);
      add({ __name__: "latency_seconds_count", job, instance }, (k) => rows[k]![5]!);
    }
  add({ __name__: "huge", part: "1" }, () => 1.7e308);
  add({ __name__: "huge", part: "2" }, (k) => (k % 2 === 0 ? 1.6e308 : -1.6e308));
  add({ __name__: "huge", part: "3" }, () => 1e-300);
  add({ __name__: "line" }, (k) => 3 * k + 7);
  add({ __name__: "lonely", x: "y" }, (k) => (k === 100 ? 5 : undefined));
  return all;
}
