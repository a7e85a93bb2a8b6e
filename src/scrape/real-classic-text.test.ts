/** Classic histograms of the text formats, converted by a real Prometheus and by us: both must store the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { apiData, skipWithoutParts } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { createMatcher } from "../model/matcher.ts";
import { type BothJob, type Row, shown, withBoth } from "../../test/support/both-scrape.ts";

const TEXT = "text/plain; version=0.0.4";
const OPENMETRICS = "application/openmetrics-text; version=1.0.0";

/** What both formats can say. */
const SHARED = `# HELP before A gauge.
# TYPE before gauge
before 1
# TYPE plain histogram
plain_bucket{le="0.005"} 2
plain_bucket{le="1"} 5
plain_bucket{le="2.5e+06"} 9
plain_bucket{le="+Inf"} 10
plain_sum 4.25
plain_count 10
# TYPE two histogram
two_bucket{code="200",le="1"} 1
two_bucket{code="200",le="+Inf"} 3
two_sum{code="200"} 7
two_count{code="200"} 3
two_bucket{code="50\\"0",le="1"} 0
two_bucket{code="50\\"0",le="+Inf"} 0
two_sum{code="50\\"0"} 0
two_count{code="50\\"0"} 0
# TYPE mixed histogram
mixed_count{x="1"} 2
mixed_sum{x="1"} 3
mixed_bucket{le="+Inf",x="1"} 2
mixed_bucket{le="0.5",x="1"} 1
mixed_bucket{x="2",le="0.5"} 1
mixed_bucket{x="1",le="0.25"} 1
# TYPE endless histogram
endless_bucket{le="1"} 3
endless_sum 2
endless_count 4
# TYPE fraction histogram
fraction_bucket{le="1"} 0.5
fraction_bucket{le="+Inf"} 1.5
fraction_sum NaN
fraction_count 1.5
# TYPE only_count histogram
only_count_count 6
# TYPE mismatch histogram
mismatch_bucket{le="1"} 3
mismatch_bucket{le="+Inf"} 4
mismatch_count 5
# TYPE falling histogram
falling_bucket{le="1"} 3
falling_bucket{le="2"} 2
falling_bucket{le="+Inf"} 4
# TYPE negative histogram
negative_bucket{le="1"} -3
negative_count 4
# TYPE no_bound histogram
no_bound_bucket{le="x"} 3
no_bound_bucket 4
no_bound_count 4
# TYPE other histogram
stranger_bucket{le="1"} 3
stranger_count 3
other_bucket{le="1"} 3
other_created 17
other_more 18
other_count 3
# TYPE not_a_histogram counter
not_a_histogram_bucket{le="1"} 3
not_a_histogram_count 3
# TYPE "dotted.name" histogram
{"dotted.name_bucket",le="1"} 3
{"dotted.name_bucket",le="+Inf"} 4
{"dotted.name_count"} 4
{"dotted.name_sum"} 4
# TYPE last histogram
last_bucket{le="1"} 1
last_bucket{le="+Inf"} 2
last_count 2
last_sum 2
`;

const COMMENTS = `# TYPE split histogram
split_bucket{le="1"} 1
split_bucket{le="+Inf"} 2
# a comment
split_sum 2
# TYPE blank histogram

blank_bucket{le="1"} 1
blank_bucket{le="+Inf"} 2

blank_sum 2
blank_count 2`;

function textBody(): string {
  const now = systemClock.now() - 1000;
  return `${SHARED}# TYPE stamped histogram
stamped_bucket{le="1"} 1 ${now}
stamped_bucket{le="+Inf"} 2 ${now}
stamped_sum 2 ${now}
stamped_count 2 ${now}
# TYPE no_type_follows histogram
${COMMENTS}`;
}

/** The same at every scrape, so that the created times are. */
const CREATED = Math.floor(systemClock.now() / 1000) - 60;

function openMetricsBody(): string {
  const seconds = Math.floor(systemClock.now() / 1000) - 1;
  return `# TYPE early counter
early_total 1
early_created ${CREATED}
${SHARED}# TYPE stamped histogram
stamped_bucket{le="1.0"} 1 ${seconds}.125
stamped_bucket{le="+Inf"} 2 ${seconds}.125
stamped_sum 2 ${seconds}.125
stamped_count 2 ${seconds}.125
stamped_created ${CREATED} ${seconds}.125
# TYPE traced_seconds histogram
# UNIT traced_seconds seconds
# HELP traced_seconds with exemplars
traced_seconds_bucket{le="0.1"} 1 # {trace_id="a"} 0.05 ${seconds}
traced_seconds_bucket{le="1.0"} 3 # {trace_id="no time"} 0.5
traced_seconds_bucket{le="+Inf"} 4 # {trace_id="b"} 5 ${seconds - 5}
traced_seconds_sum 7
traced_seconds_count 4
traced_seconds_created ${CREATED}
# TYPE gauges gaugehistogram
gauges_bucket{le="1.0"} 3
gauges_bucket{le="+Inf"} 4
gauges_gcount 4
gauges_gsum 4
gauges_created ${CREATED}
# TYPE after counter
after_total 3 # {trace_id="c"} 1 ${seconds}
after_created ${CREATED}
# EOF
`;
}

const CONVERT = "convert_classic_histograms_to_nhcb: true";
const CLASSIC = "always_scrape_classic_histograms: true";
const convert = { convertClassicHistogramsToNhcb: true } as const;
const classic = { alwaysScrapeClassicHistograms: true } as const;

function jobs(): BothJob[] {
  const formats = [
    { format: "text", contentType: TEXT, body: textBody },
    { format: "openmetrics", contentType: OPENMETRICS, body: openMetricsBody },
  ];
  return formats.flatMap(({ format, ...target }) => [
    { ...target, name: `${format}-off` },
    { ...target, name: `${format}-on`, yaml: CONVERT, config: convert },
    {
      ...target,
      name: `${format}-both`,
      yaml: `${CONVERT}\n    ${CLASSIC}`,
      config: { ...convert, ...classic },
    },
    {
      ...target,
      name: `${format}-limited`,
      yaml: `${CONVERT}\n    native_histogram_bucket_limit: 3`,
      config: { ...convert, nativeHistogramBucketLimit: 3 },
    },
  ]);
}

/** Without what differs from scrape to scrape. */
function comparable(rows: readonly Row[]): string[] {
  return shown(
    rows
      .filter(({ metric }) => metric["__name__"] !== "scrape_duration_seconds")
      // Prometheus remembers series of scrapes that failed, and does not count them again.
      .filter(
        ({ metric }) =>
          metric["__name__"] !== "scrape_series_added" || !metric["job"]!.endsWith("limited"),
      ),
  );
}

interface ExemplarRow {
  readonly seriesLabels: Record<string, string>;
  readonly exemplars: readonly { labels: Record<string, string>; value: string }[];
}

test("a real Prometheus converts the same", { skip: skipWithoutParts() }, async () => {
  const flags = ["--enable-feature=native-histograms,exemplar-storage"];
  await withBoth({ jobs: jobs(), flags }, async ({ db, ours, theirs, prometheusUrl }) => {
    const all = '{job=~".+-.+"}';
    const found = comparable(await ours(all));
    assert.deepEqual(found, comparable(await theirs(all)));
    assert.ok(found.filter((row) => row.includes('"buckets"')).length > 30);
    // Timestamps of their own are kept.
    const stamped = "timestamp(stamped) - time() < bool 0";
    assert.deepEqual(shown(await ours(stamped)), shown(await theirs(stamped)));

    const asked = new URLSearchParams({
      query: '{job=~".+-.+"}',
      start: String(systemClock.now() / 1000 - 100),
      end: String(systemClock.now() / 1000 + 100),
    }).toString();
    const wanted = await apiData<ExemplarRow[]>(`${prometheusUrl}/api/v1/query_exemplars?${asked}`);
    const line = (job: string, name: string, trace: string, value: string): string =>
      `${job} ${name} ${trace} ${Number(value)}`;
    const theirTraces = wanted.flatMap(({ seriesLabels, exemplars }) =>
      exemplars.map((one) =>
        line(seriesLabels["job"]!, seriesLabels["__name__"]!, one.labels["trace_id"]!, one.value),
      ),
    );
    const ourTraces = db.head
      .exemplars({
        matcherSets: [[createMatcher("job", "=~", ".+-.+")]],
        minTimeMs: -Infinity,
        maxTimeMs: Infinity,
      })
      .flatMap(({ labels, exemplars }) =>
        exemplars.map((one) =>
          line(
            labels.get("job"),
            labels.get("__name__"),
            one.labels.get("trace_id"),
            String(one.value),
          ),
        ),
      );
    assert.deepEqual([...new Set(ourTraces)].sort(), [...new Set(theirTraces)].sort());
    assert.ok(ourTraces.includes("openmetrics-both traced_seconds b 5"));
    // Without a time it is stored once, however often it is scraped.
    const withoutTime = (lines: readonly string[]): string[] =>
      lines.filter((one) => one.includes(" no time ")).sort();
    assert.deepEqual(withoutTime(ourTraces), withoutTime(theirTraces));
    assert.ok(withoutTime(ourTraces).length > 0);
  });
});
