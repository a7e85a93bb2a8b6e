/**
 * Regular expressions of 10 KB made to be hard, each against a value of 10 KB, in CPU time: for the first time in this
 * process, and the best of five with a new matcher each. Run: node bench/model/regex-bombs.bench.ts
 */
import { AppError } from "../../src/base/errors.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { regexBombs } from "../../src/model/testdata/regex-bombs.ts";
import { report } from "../support/report.ts";

const ROUNDS = 5;

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function answer(pattern: string, text: string): string {
  try {
    return String(createMatcher("x", "=~", pattern).matches(text));
  } catch (error) {
    if (error instanceof AppError) return "refused";
    throw error;
  }
}

const firsts: number[] = [];
const bests: number[] = [];
for (const { name, pattern, text } of regexBombs()) {
  const times: number[] = [];
  let verdict = "";
  for (let i = 0; i <= ROUNDS; i++) {
    const start = cpuMs();
    verdict = answer(pattern, text);
    times.push(cpuMs() - start);
  }
  const [first, ...others] = times as [number, ...number[]];
  const best = Math.min(...others);
  firsts.push(first);
  bests.push(best);
  console.log(`${first.toFixed(1)} ms, then ${best.toFixed(1)} ms: ${name}: ${verdict}`);
}
const better = "less";
const gate = "≤ 50 ms";
report({ name: "worst bomb, warm", unit: "ms", ours: Math.max(...bests), better, gate });
report({ name: "worst bomb, first time", unit: "ms", ours: Math.max(...firsts), better });
