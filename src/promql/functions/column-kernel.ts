import { compileModule, instantiate } from "../../base/web-assembly.ts";
import { sampleMemory } from "../../chunk/sample-memory.ts";
import { COLUMN_KERNEL_WASM } from "./column-kernel.gen.ts";

/** What column-kernel.as exports. Places are bytes in the sample memory; what is true is not 0. */
export interface ColumnKernel {
  isRegular(times: number, count: number, intervalMs: number): number;
  firstReset(values: number, count: number): number;
  sumUpResets(values: number, count: number, totals: number): number;
  windows(
    low: number,
    last: number,
    stride: number,
    distance: number,
    steps: number,
    isCounter: boolean,
    sampled: number,
    toStart: number,
    toEnd: number,
    usualFactor: number,
    rangeSeconds: number,
    out: number,
  ): void;
  regress(
    times: number,
    values: number,
    count: number,
    originMs: number,
    intercept: number,
  ): number;
  addToSums(values: number, main: number, side: number, steps: number): void;
  weigh(values: number, weights: number, flags: number, steps: number, flag: number): number;
  firstNaN(values: number, count: number): number;
}

let shared: ColumnKernel | undefined;

/** The kernel of this thread, on its sample memory. */
export function columnKernel(): ColumnKernel {
  return (shared ??= instantiate(
    compileModule(COLUMN_KERNEL_WASM),
    sampleMemory().memory,
  ) as ColumnKernel);
}
