/** The same protobuf exposition, scraped by a real Prometheus and by us: both must store the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutParts } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import type { ScrapeConfig } from "../config/types.ts";
import {
  delimited,
  double,
  enumeration,
  field,
  label,
  text,
  varint,
} from "../exposition/protobuf.fixture.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Row, shown, withBoth } from "../../test/support/both-scrape.ts";

const TYPE =
  "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value);
const span = (number: number, offset: number, length: number): number[] =>
  field(number, enumeration(1, zigzag(offset)), enumeration(2, length));
const packed = (number: number, ...deltas: number[]): number[] =>
  field(number, ...deltas.map((delta) => varint(zigzag(delta))));
const packedDoubles = (number: number, ...values: number[]): number[] =>
  field(number, ...values.map((value) => double(1, value).slice(1)));
const exemplar = (number: number, trace: string, value: number, seconds: number): number[] =>
  field(
    number,
    field(1, text(1, "trace_id"), text(2, trace)),
    double(2, value),
    field(3, enumeration(1, seconds)),
  );
const bucket = (count: number, bound: number, ...more: number[][]): number[] =>
  field(3, enumeration(1, count), double(2, bound), ...more);

function body(): Uint8Array {
  const seconds = Math.floor(systemClock.now() / 1000) - 1;
  const families = [
    delimited(
      text(1, "requests_total"),
      text(2, 'help "x"\n\\'),
      field(4, label("code", "200"), field(3, double(1, 5.5), exemplar(2, "c1", 1, seconds))),
      field(4, label("cöde", 'a"b\\c\n'), field(3, double(1, Infinity))),
      field(4, label("code", "stamped"), field(3, double(1, 7)), [0x30, ...varint(seconds * 1000)]),
    ),
    delimited(
      text(1, "dotted.gauge"),
      enumeration(3, 1),
      field(4, label("x", ""), field(2, double(1, -0))),
    ),
    delimited(
      text(1, "wait"),
      enumeration(3, 2),
      field(
        4,
        field(
          4,
          enumeration(1, 3),
          double(2, 1.5),
          field(3, double(1, 0.5), double(2, 2)),
          field(3, double(1, 1), double(2, NaN)),
        ),
      ),
    ),
    delimited(text(1, "untyped"), enumeration(3, 3), field(4, field(5, double(1, 12)))),
    delimited(
      text(1, "classic"),
      enumeration(3, 4),
      field(
        4,
        field(
          7,
          enumeration(1, 9),
          double(2, 4.25),
          bucket(2, 0.005, exemplar(3, "b1", 0.004, seconds)),
          bucket(5, 1),
          bucket(9, 2.5e6),
        ),
      ),
      field(
        4,
        label("empty", "1"),
        field(7, enumeration(1, 0), double(2, 0), bucket(0, 1), bucket(0, Infinity)),
      ),
    ),
    delimited(
      text(1, "native"),
      enumeration(3, 4),
      field(
        4,
        label("side", "both"),
        field(
          7,
          enumeration(1, 13),
          double(2, -3.5),
          bucket(3, 1),
          bucket(13, Infinity),
          enumeration(5, zigzag(3)),
          double(6, 0.001),
          enumeration(7, 2),
          span(9, -3, 1),
          packed(10, 4),
          span(12, -1, 2),
          span(12, 3, 1),
          packed(13, 1, 1, 2),
          exemplar(16, "n1", 2, seconds),
        ),
      ),
      field(
        4,
        label("side", "empty"),
        field(7, enumeration(1, 0), double(2, 0), enumeration(5, 0), span(12, 0, 0)),
      ),
      field(
        4,
        label("side", "float"),
        field(
          7,
          double(4, 6.5),
          double(2, 1),
          enumeration(5, zigzag(-1)),
          double(6, 0.5),
          double(8, 1.5),
          span(12, 0, 2),
          packedDoubles(14, 2.5, 2.5),
        ),
      ),
    ),
    delimited(
      text(1, "native_gauge"),
      enumeration(3, 5),
      field(
        4,
        field(
          7,
          enumeration(1, 3),
          double(2, 3),
          enumeration(5, 0),
          double(6, 0.25),
          span(12, 1, 1),
          packed(13, 3),
        ),
      ),
    ),
  ];
  return Uint8Array.from(families.flat());
}

/** What differs in the configuration of each job. */
const JOBS: readonly (readonly [yaml: string, config: Partial<ScrapeConfig>])[] = [
  ["", {}],
  ["always_scrape_classic_histograms: true", { alwaysScrapeClassicHistograms: true }],
  ["convert_classic_histograms_to_nhcb: true", { convertClassicHistogramsToNhcb: true }],
  ["native_histogram_bucket_limit: 3", { nativeHistogramBucketLimit: 3 }],
  ["native_histogram_min_bucket_factor: 2", { nativeHistogramMinBucketFactor: 2 }],
  ["sample_limit: 3", { sampleLimit: 3 }],
  ["metric_relabel_configs: []\n    honor_timestamps: false", { honorTimestamps: false }],
];

/** Without what differs from scrape to scrape. */
function comparable(rows: readonly Row[]): string[] {
  return shown(
    rows
      .filter(({ metric }) => metric["__name__"] !== "scrape_duration_seconds")
      // Prometheus remembers series of scrapes that failed, and does not count them again.
      .filter(
        ({ metric }) => metric["__name__"] !== "scrape_series_added" || metric["job"] !== "job5",
      ),
  );
}

const QUERY = '{job=~"job.*"}';

test("a real Prometheus stores the same of protobuf", { skip: skipWithoutParts() }, async () => {
  const jobs = JOBS.map(([yaml, config], i) => ({
    name: `job${i}`,
    contentType: TYPE,
    body,
    yaml: `scrape_protocols: [PrometheusProto]\n    ${yaml}`,
    config: {
      ...config,
      scrapeProtocols: ["PrometheusProto"],
      scrapeNativeHistograms: true,
    } as const,
  }));
  const flags = ["--enable-feature=native-histograms,exemplar-storage"];
  await withBoth({ jobs, flags }, async ({ db, ours, theirs }) => {
    const [a, b] = [comparable(await ours(QUERY)), comparable(await theirs(QUERY))];
    assert.deepEqual(a, b);
    assert.ok(a.length > 100 && a.some((row) => row.includes('"buckets"')));
    const traces = db.head
      .exemplars({
        matcherSets: [[createMatcher("job", "=", "job0")]],
        minTimeMs: -Infinity,
        maxTimeMs: Infinity,
      })
      .flatMap(({ labels, exemplars }) =>
        exemplars.map(
          (one) => `${labels.get("__name__")} ${one.labels.get("trace_id")} ${one.value}`,
        ),
      );
    assert.deepEqual([...new Set(traces)].sort(), [
      "classic_bucket b1 0.004",
      "native n1 2",
      "requests_total c1 1",
    ]);
  });
});
