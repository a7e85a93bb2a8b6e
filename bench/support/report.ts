/** One measured figure beside its peer's; `bench/run.ts` collects them into one table. */
import { appendFileSync } from "node:fs";

export interface Figure {
  readonly name: string;
  readonly unit: string;
  readonly ours: number;
  /** The real program's figure from the same run; undefined when there is no peer to compare with. */
  readonly peer?: number;
  readonly peerName?: string;
  /** `less`: smaller is better and the ratio is peer / ours; `more`: larger is better, ours / peer. */
  readonly better: "less" | "more";
  /** What must hold and what is aimed at, in words. */
  readonly gate?: string;
}

export function ratioOf(figure: Figure): number | undefined {
  if (figure.peer === undefined) return undefined;
  return figure.better === "less" ? figure.peer / figure.ours : figure.ours / figure.peer;
}

/** Prints the figure, and hands it to the table when the runner asks for one. */
export function report(figure: Figure): void {
  const ratio = ratioOf(figure);
  const peer =
    figure.peer === undefined
      ? ""
      : `, ${figure.peerName ?? "Prometheus"} ${round(figure.peer)} ${figure.unit} → ${round(ratio ?? 0)}×`;
  console.log(
    `${figure.name}: ${round(figure.ours)} ${figure.unit}${peer}${figure.gate === undefined ? "" : ` (gate: ${figure.gate})`}`,
  );
  const file = process.env["SHOAL_BENCH_FIGURES"];
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(figure)}\n`);
}

export function round(value: number): string {
  return value >= 1000
    ? Math.round(value).toLocaleString("en")
    : String(Number(value.toPrecision(3)));
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}
