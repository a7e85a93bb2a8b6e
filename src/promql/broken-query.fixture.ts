/** Queries that were right until something happened to them, for tests short and long. */
import assert from "node:assert/strict";
import { AppError } from "../base/errors.ts";
import { type Random, randomInt, seededRandom } from "../base/random.ts";
import { isStaleHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "./engine.ts";
import { parseExpression, type ParserOptions } from "./parser.ts";
import { printExpression } from "./printer.ts";
import { createFloatData, INTERVAL_MS, START_MS } from "./testing/float-data.ts";
import { QueryGenerator } from "./testing/float-queries.ts";
import { createHistogramData } from "./testing/histogram-data.ts";
import { HistogramQueryGenerator } from "./testing/histogram-queries.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";

/** What queries are made of, and what they should not hold: tokens, numbers at the edges, odd characters. */
const PIECES: readonly string[] = [
  "()[]{},:@\"'`#\\\0\ud800\udfff\ufeff\n-+*/%^".split(""),
  ["==", "!=", "=~", "!~", ">=", "</", ">/", " and ", " or ", " unless ", " bool ", " atan2 "],
  [" offset ", " by (", " without (", " on (", " ignoring (", " group_left ", "@ start() "],
  ["0", "-0", "1e308", "1e-323", "1e999", "NaN", "Inf", "0x7fffffffffffffff", "0b", "1_0"],
  ["9223372036854775807", "-9223372036854775808", "9007199254740993", "1.", ".5", "08"],
  ["[1ms]", "[0s]", "[5m:]", "[5m:1ms]", "[292y]", "[99999999999y]", "[-5m]", "5m", "1d1d"],
  ["sum", "rate(", "topk(", "scalar(", "histogram_quantile(", "absent_over_time(", "info("],
  ['{__name__=~".+"}', '{a=""}', '{le!~"("}', '=~"(a*)*b"', '"\\xff"', '"\\u{110000}"', "é"],
  ["step()", "range()", "min_of(", " smoothed", " anchored", " fill (", "requests_total"],
].flat();

const MAX_SAMPLES = 1_000_000;
/** A query that needs as long is a finding: everything here is small, or refused. */
const TIMEOUT_MS = 20_000;
const END_MS = START_MS + 100 * INTERVAL_MS;
const REFERENCE = "sum by (job) (rate(requests_total[5m]))";
/** What a query may fail with; anything else is a fault of ours. */
const EXPECTED_CODES: ReadonlySet<string> = new Set(["bad-data", "execution"]);

const PARSER: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  fillModifiers: true,
};

/**
 * Lexer, parser, printer and evaluation of `count` broken queries: each is refused with a named error, or printed as
 * what parses to the same again and evaluated at one moment and over a range. No other query is harmed.
 */
export async function checkBrokenQueries(count: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  const whole = [new QueryGenerator(random), new HistogramQueryGenerator(random)];
  const { queryable } = createStorage();
  const engine = new Engine({ parser: PARSER, maxSamples: MAX_SAMPLES, timeoutMs: TIMEOUT_MS });
  const reference = (): Promise<unknown> =>
    engine.instant(queryable, { query: REFERENCE, timeMs: END_MS }).then(({ value }) => value);
  const expected = await reference();
  const range = { startMs: START_MS - 60_000, endMs: END_MS, stepMs: 97_000 };
  let parsed = 0;
  for (let i = 0; i < count; i++) {
    const generator = whole[i % 2]!;
    const query = breakText(generator.vector(1 + (i % 3)), random);
    const context = `seed ${seed}, query ${i}: ${JSON.stringify(query)}`;
    const printed = await outcomeOf(context, () => printExpression(parseExpression(query, PARSER)));
    const evaluations = [
      () => engine.instant(queryable, { query, timeMs: END_MS }),
      () => engine.range(queryable, { query, ...range }),
    ];
    for (const evaluate of evaluations) {
      const result = await outcomeOf(context, evaluate);
      if (printed === undefined) assert.equal(result, undefined, context);
    }
    if (printed === undefined) continue;
    parsed++;
    assert.equal(printExpression(parseExpression(printed, PARSER)), printed, context);
  }
  assert.deepEqual(await reference(), expected);
  // Else it is the parser alone that was tried.
  assert.ok(parsed > count / 20 && parsed < count, `${parsed} of ${count} queries parsed`);
}

/** The outcome of `action`; undefined when it is refused as a query should be. */
async function outcomeOf<T>(context: string, action: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await action();
  } catch (thrown) {
    const isExpected = thrown instanceof AppError && EXPECTED_CODES.has(thrown.code);
    if (!isExpected) throw new Error(context, { cause: thrown });
    return undefined;
  }
}

/** `text` after one to three accidents. */
function breakText(text: string, random: Random): string {
  let broken = text;
  for (let left = 1 + randomInt(random, 3); left > 0; left--) {
    const at = randomInt(random, broken.length + 1);
    const size = randomInt(random, 6);
    const before = broken.slice(0, at);
    switch (randomInt(random, 5)) {
      case 0:
        broken = before + broken.slice(at + size);
        break;
      case 1:
        broken = before + broken.slice(at, at + size).repeat(2) + broken.slice(at + size);
        break;
      case 2:
        // Numbers and durations, where there are any.
        broken = broken.replace(/\d+(?:\.\d+)?/, () => pieceOf(random));
        break;
      default:
        broken =
          before + pieceOf(random) + broken.slice(randomInt(random, 2) === 0 ? at : at + size);
    }
  }
  return broken;
}

function pieceOf(random: Random): string {
  return PIECES[randomInt(random, PIECES.length)]!;
}

function createStorage(): MemoryStorage {
  const storage = new MemoryStorage();
  for (const { labels, times, values } of createFloatData())
    for (const [i, timeMs] of times.entries()) storage.append(labels, timeMs, values[i]!);
  for (const { labels: own, samples } of createHistogramData()) {
    // Beside the floats of the same name.
    const labels = Labels.fromObject({ ...Object.fromEntries(own), from: "histograms" });
    for (const { timeMs, value } of samples)
      if (typeof value === "number") storage.append(labels, timeMs, value);
      else if (isStaleHistogram(value)) storage.appendStale(labels, timeMs);
      else storage.appendHistogram(labels, timeMs, value);
  }
  return storage;
}
