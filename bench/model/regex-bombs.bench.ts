/**
 * Regular expressions of 10 KB made to be hard, each against a value of 10 KB, in CPU time: as the first one of a process
 * (the best of three, a process each), and the best of five with a new matcher each. Run: node bench/model/regex-bombs.bench.ts
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

/** What bomb `i` takes in a process that has not seen a regular expression before. */
function coldMs(i: number): number {
  const { stdout } = spawnSync(
    process.execPath,
    [...process.execArgv, fileURLToPath(import.meta.url), String(i)],
    { encoding: "utf8" },
  );
  return Number(stdout);
}

const bombs = regexBombs();
const cold = process.argv[2];
if (cold !== undefined) {
  const bomb = bombs[Number(cold)]!;
  const start = cpuMs();
  answer(bomb);
  console.log(cpuMs() - start);
} else {
  const colds: number[] = [];
  const bests: number[] = [];
  for (const [i, bomb] of bombs.entries()) {
    const first = Math.min(...Array.from({ length: COLD_ROUNDS }, () => coldMs(i)));
    let best = Infinity;
    let verdict = "";
    for (let round = 0; round < ROUNDS; round++) {
      const start = cpuMs();
      verdict = answer(bomb);
      best = Math.min(best, cpuMs() - start);
    }
    colds.push(first);
    bests.push(best);
    console.log(
      `${first.toFixed(1)} ms as the first, ${best.toFixed(1)} ms warm: ${bomb.name}: ${verdict}`,
    );
  }
  const better = "less";
  const gate = "≤ 50 ms";
  report({ name: "worst bomb, warm", unit: "ms", ours: Math.max(...bests), better, gate });
  const ours = Math.max(...colds);
  report({ name: "worst bomb, first of a process", unit: "ms", ours, better, gate });
}
