/** Parses a seeded body of about 1 MB (10,000 series) to columns; prints MB/s and ns per series. */
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { ParsedColumns } from "../../src/exposition/columns.ts";
import { parseText } from "../../src/exposition/parse.ts";
import { LineCache } from "../../src/scrape/line-cache.ts";
import { ScanScratch } from "../../src/scrape/scan-scratch.ts";
import { median, report } from "../support/report.ts";

const SERIES = 10_000;
const ROUNDS = 41;

function generateBody(seed: number, valueSeed: number): { body: Uint8Array; length: number } {
  const random = seededRandom(seed);
  const values = seededRandom(valueSeed);
  let text = "";
  for (let i = 0; i < SERIES; i++) {
    if (i % 100 === 0)
      text += `# HELP http_requests_${i / 100}_total Requests served.\n# TYPE http_requests_${i / 100}_total counter\n`;
    const value =
      randomInt(values, 4) === 0
        ? String(values.next() * 1000)
        : String(randomInt(values, 1_000_000));
    text += `http_requests_${Math.floor(i / 100)}_total{method="GET",path="/api/v1/items/${i % 100}",code="${200 + randomInt(random, 300)}",zone="eu-${randomInt(random, 9)}",pod="web-${i}"} ${value}\n`;
  }
  const bytes = Buffer.from(text);
  const body = new Uint8Array(bytes.length + 1);
  body.set(bytes);
  return { body, length: bytes.length };
}

function medianOf(run: () => void): number {
  for (let i = 0; i < 10; i++) run();
  const times: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const started = performance.now();
    run();
    times.push(performance.now() - started);
  }
  return median(times);
}

function print(name: string, ms: number, bytes: number): void {
  report({ name, unit: "ms", ours: ms, better: "less", gate: "≤ 1 ms" });
  console.log(
    `  ${(bytes / 1000 / ms).toFixed(0)} MB/s, ${((ms * 1e6) / SERIES).toFixed(0)} ns/series`,
  );
}

const bodies = Array.from({ length: 5 }, (_, i) => generateBody(1, 100 + i));
const columns = new ParsedColumns();
let turn = 0;
const fullMs = medianOf(() => {
  const { body, length } = bodies[turn++ % bodies.length]!;
  parseText(body, length, columns);
  if (columns.count !== SERIES) throw new Error(`parsed ${columns.count} series, not ${SERIES}`);
});
print("parse 1 MB of text (10k series)", fullMs, bodies[0]!.length);

let labeled = 0;
const cache = new LineCache(new ScanScratch(1));
const rules = {
  labeler: () => {
    labeled++;
    return undefined;
  },
  honorTimestamps: true,
  trackTimestampsStaleness: false,
  sampleLimit: 0,
};
const repeatMs = medianOf(() => {
  const { body, length } = bodies[turn++ % bodies.length]!;
  const scan = cache.scan(body, length, { format: "text", rules, nowMs: 0 });
  if (scan.result.scraped !== SERIES) throw new Error(`scanned ${scan.result.scraped} series`);
  cache.commit(scan);
});
if (labeled !== SERIES) throw new Error(`${labeled} series were labelled, not ${SERIES} once`);
print("read 1 MB of known text (10k series)", repeatMs, bodies[0]!.length);
