/** Random legal, damaged and senseless queries, and what must hold for each of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "../../base/errors.ts";
import { pick, type Random, randomInt, seededRandom } from "../../base/random.ts";
import type { Labels } from "../../model/labels.ts";
import type { Queryable } from "../../storage/queryable.ts";
import { Engine } from "../engine.ts";
import { ParseError } from "../parse-error.ts";
import { parseExpression } from "../parser.ts";
import { printExpression } from "../printer.ts";
import { createFloatData, INTERVAL_MS, START_MS } from "./float-data.ts";
import { createHistogramData } from "./histogram-data.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { queries } from "./random-query.ts";

const HALF_HOUR_MS = 30 * 60_000;

const PARSER = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  fillModifiers: true,
} as const;

/** What is put into queries to damage them: tokens, numbers and durations at the edges, characters out of place. */
const PIECES: readonly string[] = [
  "()[]{},:@\"'`#\\\0\ud800\udfff\ufeff\u2028\n .-+*/%^".split(""),
  ["==", "!=", "=~", "!~", ">=", "</", ">/", " and ", " or ", " unless ", " bool ", " atan2 "],
  [" offset ", " by (", " without (", " on (", " ignoring (", " group_left ", "@ start() "],
  ["0", "-0", "1e308", "1e-323", "1e999", "NaN", "Inf", "0x7fffffffffffffff", "0b", "1_0"],
  ["9223372036854775807", "-9223372036854775808", "9007199254740993", "1.", ".5", "08"],
  ["[1ms]", "[0s]", "[5m:]", "[5m:1ms]", "[292y]", "[99999999999y]", "[-5m]", "5m", "1d1d"],
  ["sum", "rate(", "topk(", "scalar(", "histogram_quantile(", "absent_over_time(", "info("],
  ['{__name__=~".+"}', '{a=""}', '{le!~"("}', '=~"(a*)*b"', '"\\xff"', '"\\u{110000}"', "é", "🐟"],
  ["step()", "range()", "min_of(", " smoothed", " anchored", " fill (", "end()", "((((("],
].flat();

export interface FuzzOutcome {
  readonly parsed: number;
  readonly refused: number;
  readonly evaluated: number;
  readonly failed: number;
}

/** Tries queries until `isOver` says so (asked with how many were tried). */
export async function fuzzQueries(
  seed: number,
  isOver: (tried: number) => boolean,
): Promise<FuzzOutcome> {
  const random = seededRandom(seed);
  const storage = createStorage();
  const engine = new Engine({ parser: PARSER, maxSamples: 200_000, timeoutMs: 5_000 });
  const outcome = { parsed: 0, refused: 0, evaluated: 0, failed: 0 };
  const unharmed = (): Promise<string> => reference(engine, storage);
  const before = await unharmed();
  let pool: string[] = [];
  for (let tried = 0; !isOver(tried); tried++) {
    if (tried % 500 === 0) pool = fc.sample(queries, { numRuns: 500, seed: seed + tried });
    const query = damage(pool[tried % pool.length]!, random);
    try {
      if (!parses(query)) {
        outcome.refused++;
        continue;
      }
      outcome.parsed++;
      if (await evaluates(engine, storage, query)) outcome.evaluated++;
      else outcome.failed++;
    } catch (error) {
      throw new Error(`seed ${seed}, query ${JSON.stringify(query)}`, { cause: error });
    }
  }
  assert.equal(await unharmed(), before);
  return outcome;
}

/** The answer to a sound query, which no other query may change. */
async function reference(engine: Engine, storage: Queryable): Promise<string> {
  const query = "sum by (job) (rate(foo[5m])) + on () group_left () count(bar)";
  const { value } = await engine.instant(storage, { query, timeMs: START_MS + HALF_HOUR_MS });
  assert.ok(value.kind === "vector" && value.samples.length > 0);
  return JSON.stringify(value.samples.map(({ labels, value: sum }) => [labels, sum]));
}

/** Under the names that random queries ask for. */
function createStorage(): Queryable {
  const storage = new MemoryStorage();
  const names = ["foo", "bar", "a:b:c", "sum", "offset", "by", "start", "step", "fill"];
  const named = (labels: Labels, i: number): Labels =>
    labels.with("__name__", names[i % names.length]!).with("a", String(i));
  for (const [k, { labels, times, values }] of createFloatData().slice(0, 40).entries())
    for (const [i, timeMs] of times.entries()) storage.append(named(labels, k), timeMs, values[i]!);
  for (const [k, { labels, samples }] of createHistogramData().slice(0, 10).entries())
    for (const { timeMs, value } of samples)
      if (typeof value !== "number") storage.appendHistogram(named(labels, k), timeMs, value);
  return storage.queryable;
}

/** Every second query stays as it is; others get up to four changes. */
function damage(query: string, random: Random): string {
  const times = random.next() < 0.5 ? 0 : 1 + randomInt(random, 4);
  let text = query;
  for (let i = 0; i < times; i++) {
    const at = randomInt(random, text.length + 1);
    const end = at + randomInt(random, 6);
    const piece = pick(random, PIECES);
    switch (randomInt(random, 4)) {
      case 0:
        text = text.slice(0, at) + piece + text.slice(at);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(end);
        break;
      case 2:
        text = text.slice(0, at) + piece + text.slice(end);
        break;
      default:
        text = text.slice(0, at) + text.slice(at, end).repeat(3) + text.slice(end);
    }
  }
  return text;
}

/** Whether it is legal. A legal query's text means the same when it is printed and read again. */
function parses(query: string): boolean {
  let printed: string;
  try {
    printed = printExpression(parseExpression(query, PARSER));
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === "bad-data", String(error));
    if (error instanceof ParseError) {
      const { start, end } = error.position;
      assert.ok(start >= 0 && start <= end && end <= query.length + 1, `${start} to ${end}`);
    }
    return false;
  }
  // Prometheus too prints a range below a millisecond as `0s`, which nobody can read again, and computed offsets so that what
  // follows may be read as part of them, or they as part of what follows.
  if (!/\[0s[\]:]|offset (?:\(|\S+ [-+*/%^])/.test(printed))
    assert.equal(printExpression(parseExpression(printed, PARSER)), printed);
  return true;
}

/** Whether it has a value at one moment and over a range; what fails, fails with an error that is meant for people. */
async function evaluates(engine: Engine, storage: Queryable, query: string): Promise<boolean> {
  const timeMs = START_MS + 120 * INTERVAL_MS;
  const range = { startMs: START_MS, endMs: START_MS + 40 * 60_000, stepMs: 300_000 };
  let isGood = true;
  for (const run of [
    () => engine.instant(storage, { query, timeMs }),
    () => engine.range(storage, { query, ...range }),
  ])
    try {
      await run();
    } catch (error) {
      const isMeant =
        error instanceof AppError && ["bad-data", "execution", "timeout"].includes(error.code);
      assert.ok(isMeant, error instanceof Error ? (error.stack ?? "") : String(error));
      isGood = false;
    }
  return isGood;
}
