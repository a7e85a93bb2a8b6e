/** A line cache with a toy storage, and the properties it must have, for tests short and long. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { ParsedColumns } from "../exposition/columns.ts";
import { parseText } from "../exposition/parse.ts";
import { decodePairs } from "../exposition/series.ts";
import { Labels } from "../model/labels.ts";
import { SampleColumns } from "./buffers.ts";
import { LineCache } from "./line-cache.ts";
import { type Scan, type ScanRules } from "./scan.ts";
import { ScanScratch } from "./scan-scratch.ts";
import { createLabeler } from "./sample-labels.ts";
import { scrapeConfig } from "./scrape.fixture.ts";

export const NOW = 1_000_000;

export class LineCacheHarness {
  readonly cache = new LineCache(new ScanScratch(7));
  readonly refs = new Map<string, number>();
  readonly names: string[] = [];
  labeled = 0;
  rules: ScanRules;

  constructor(rules: Partial<ScanRules> = {}) {
    const labeler = createLabeler(scrapeConfig(), Labels.EMPTY);
    this.rules = {
      labeler: (pairs) => {
        this.labeled++;
        const labels = labeler(pairs);
        return labels?.get("__name__").startsWith("drop") === true ? undefined : labels;
      },
      honorTimestamps: true,
      trackTimestampsStaleness: false,
      sampleLimit: 0,
      ...rules,
    };
  }

  /** `series value [@time]` of what is stored, then `series stale`. */
  scrape(content: string): { scan: Scan; stored: string[]; stale: string[] } {
    const bytes = Buffer.from(content);
    const body = new Uint8Array(bytes.length + 1);
    body.set(bytes);
    const scan = this.cache.scan(body, bytes.length, {
      format: "text",
      rules: this.rules,
      nowMs: NOW,
    });
    if (scan.result.error !== undefined) {
      const stale: string[] = [];
      this.cache.forEachTracked((ref) => stale.push(this.names[ref]!));
      this.cache.untrack();
      return { scan, stored: [], stale: stale.sort() };
    }
    scan.resolve((labels) => {
      const name = labels.toString();
      let ref = this.refs.get(name);
      if (ref === undefined) {
        ref = this.names.length;
        this.names.push(name);
        this.refs.set(name, ref);
      }
      return ref;
    });
    const columns = new SampleColumns();
    scan.emit(columns, NOW);
    const stored = Array.from(
      { length: columns.count },
      (_, i) =>
        `${this.names[columns.refs[i]!]} ${columns.values[i]}${columns.times[i] === NOW ? "" : ` @${columns.times[i]}`}`,
    );
    const stale = [...scan.stale()].map((ref) => this.names[ref]!).sort();
    this.cache.commit(scan);
    return { scan, stored, stale };
  }
}

const line = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("a", "b", 'c{x="1"}', 'c{x="2"}', 'c{x="é"}', "drop_d") },
  { weight: 2, arbitrary: fc.constantFrom('e{x="1",}', "f", "g", 'h{y="\\n"}', "  i") },
);
const value = fc.constantFrom(
  "1",
  "2",
  "-3.5",
  "NaN",
  "1e9",
  "0.12345678901234567",
  "7 500",
  "8 501",
);
const entry = fc.oneof(
  { weight: 10, arbitrary: fc.tuple(line, value).map(([series, text]) => `${series} ${text}\n`) },
  {
    weight: 2,
    arbitrary: fc.constantFrom("# HELP a x\n", "# TYPE a counter\n", "\n", "# TYPE c histogram\n"),
  },
  { weight: 1, arbitrary: fc.constantFrom("broken\n", "b x\n") },
);

/** Whatever was scraped before, a body is read as if it were the first. */
export function checkIncremental(numRuns: number): void {
  fc.assert(
    fc.property(
      fc.array(fc.array(entry, { maxLength: 12 }), { minLength: 2, maxLength: 6 }),
      (bodies) => {
        const harness = new LineCacheHarness();
        for (const entries of bodies) {
          const content = entries.join("");
          const got = harness.scrape(content);
          const fresh = new LineCacheHarness().scrape(content);
          assert.equal(got.scan.result.error?.message, fresh.scan.result.error?.message);
          assert.deepEqual(got.stored, fresh.stored);
          assert.equal(got.scan.result.scraped, fresh.scan.result.scraped);
          assert.equal(got.scan.result.added, fresh.scan.result.added);
          assert.equal(got.scan.result.duplicate, fresh.scan.result.duplicate);
        }
      },
    ),
    { numRuns },
  );
}

/** A series is stale exactly when the scrape before had it and this one has not. */
export function checkStaleness(numRuns: number): void {
  fc.assert(
    fc.property(
      fc.array(fc.array(entry, { maxLength: 8 }), { minLength: 2, maxLength: 8 }),
      (bodies) => {
        const harness = new LineCacheHarness();
        let before = new Set<string>();
        for (const entries of bodies) {
          const content = entries.join("");
          const { stale, scan } = harness.scrape(content);
          const now = scan.result.error === undefined ? unstamped(content) : new Set<string>();
          assert.deepEqual(stale, [...before.difference(now)].sort());
          before = now;
        }
      },
    ),
    { numRuns },
  );
}

/** Series with a sample that is the first of its text, is kept and has no time of its own. */
function unstamped(content: string): Set<string> {
  const bytes = Buffer.from(`${content} `);
  const columns = new ParsedColumns();
  parseText(bytes, bytes.length - 1, columns);
  const labeler = createLabeler(scrapeConfig(), Labels.EMPTY);
  const names = new Set<string>();
  const texts = new Set<string>();
  for (let i = 0; i < columns.count; i++) {
    const range = { start: columns.seriesStart[i]!, end: columns.seriesEnd[i]! };
    const text = bytes.toString("utf8", range.start, range.end);
    if (texts.has(text)) continue;
    texts.add(text);
    const labels = labeler(decodePairs(bytes, { ...range, kind: columns.kinds[i]! }))!;
    if (columns.hasTimestamp[i] === 0 && !labels.get("__name__").startsWith("drop"))
      names.add(labels.toString());
  }
  return names;
}
