/**
 * Runs every benchmark in a process of its own (or those whose path contains one of the words given) and prints the
 * figures as one table. Benchmarks beside a real program start it themselves and say so when it is absent.
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { type Figure, ratioOf, round } from "./support/report.ts";

const words = process.argv.slice(2);
const files = globSync("bench/**/*.bench.ts")
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) throw new Error(`no benchmark matches ${words.join(" ")}`);

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-"));
const figuresFile = join(folder, "figures.jsonl");
let failed = 0;
try {
  for (const file of files) {
    console.log(`\n── ${file}`);
    const result = spawnSync(
      process.execPath,
      ["--disable-warning=ExperimentalWarning", "--expose-gc", file],
      { stdio: "inherit", env: { ...process.env, SHOAL_BENCH_FIGURES: figuresFile } },
    );
    if (result.status !== 0) {
      failed++;
      console.error(`── ${file}: failed`);
    }
  }
  let figures: Figure[] = [];
  try {
    figures = readFileSync(figuresFile, "utf8")
      .trim()
      .split("\n")
      .map((line): Figure => JSON.parse(line));
  } catch {
    console.error("no figures were reported");
  }
  console.log(
    `\nNode ${process.versions.node}, ${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}\n`,
  );
  console.log("| what | Shoal | peer | ratio | gate |\n|---|---|---|---|---|");
  for (const figure of figures) {
    const ratio = ratioOf(figure);
    const peer =
      figure.peer === undefined
        ? "–"
        : `${figure.peerName ?? "Prometheus 3.5"} ${round(figure.peer)} ${figure.unit}`;
    console.log(
      `| ${figure.name} | ${round(figure.ours)} ${figure.unit} | ${peer} | ${ratio === undefined ? "–" : `**${round(ratio)}×**`} | ${figure.gate ?? "–"} |`,
    );
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exit(failed === 0 ? 0 : 1);
