/**
 * Regular expressions of 10 KB made to be hard, each against a value of 10 KB: as the first one of a process (the best of
 * three, a process each) in CPU time of all threads, V8's own for compiling too, and in elapsed time, and the CPU time of the
 * best of five with a new matcher each. Run: node bench/model/regex-bombs.bench.ts
 */
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { AppError } from "../../src/base/errors.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { type Bomb, regexBombs } from "../../src/model/testdata/regex-bombs.ts";
import { report } from "../support/report.ts";

const ROUNDS = 5;
const COLD_ROUNDS = 3;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function answer({ pattern, text }: Bomb): string {
  try {
    return String(createMatcher("x", "=~", pattern).matches(text));
  } catch (error) {
    if (error instanceof AppError) return "refused";
    throw error;
  }
}

/** CPU and elapsed time of bomb `i` in a process that has not seen a regular expression before. */
function coldMs(i: number): [number, number] {
  const { stdout } = spawnSync(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), String(i)],
    { encoding: "utf8" },
  );
  const [cpu, elapsed] = stdout.split(" ").map(Number);
  return [cpu!, elapsed!];
}

const bombs = regexBombs();
const cold = process.argv[2];
if (cold !== undefined) {
  const bomb = bombs[Number(cold)]!;
  const start = cpuMs();
  const startedAt = performance.now();
  answer(bomb);
  const elapsed = performance.now() - startedAt;
  console.log(cpuMs() - start, elapsed);
} else {
  const colds: number[] = [];
  const elapseds: number[] = [];
  const bests: number[] = [];
  for (const [i, bomb] of bombs.entries()) {
    const firsts = Array.from({ length: COLD_ROUNDS }, () => coldMs(i));
    const first = Math.min(...firsts.map(([cpu]) => cpu));
    const elapsed = Math.min(...firsts.map(([, ms]) => ms));
    let best = Infinity;
    let verdict = "";
    for (let round = 0; round < ROUNDS; round++) {
      const start = cpuMs();
      verdict = answer(bomb);
      best = Math.min(best, cpuMs() - start);
    }
    colds.push(first);
    elapseds.push(elapsed);
    bests.push(best);
    console.log(
      `${first.toFixed(1)} ms as the first, ${elapsed.toFixed(1)} ms elapsed, ${best.toFixed(1)} ms warm: ${bomb.name}: ${verdict}`,
    );
  }
  const better = "less";
  const gate = "≤ 50 ms";
  report({ name: "worst bomb, warm", unit: "ms", ours: Math.max(...bests), better, gate });
  const ours = Math.max(...colds);
  report({ name: "worst bomb, first of a process", unit: "ms", ours, better, gate });
  const longest = Math.max(...elapseds);
  report({ name: "the same, elapsed", unit: "ms", ours: longest, better, gate });
}
