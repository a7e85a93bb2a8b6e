/** Zeros for the moments series were created, in a real Prometheus and here: they must be the same. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BothJob, type Row, shown, withBoth } from "../../test/support/both-scrape.ts";
import { skipWithoutParts } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import {
  delimited,
  double,
  enumeration,
  field,
  label,
  text,
} from "../exposition/protobuf.fixture.ts";

const NOW_SECONDS = systemClock.now() / 1000;
/** Within the hour that a database takes back to, and not. */
const RECENT = Math.floor(NOW_SECONDS - 60) + 0.25;
const OLD = Math.floor(NOW_SECONDS - 7200);
const FUTURE = Math.floor(NOW_SECONDS + 7200);

/** When the process behind the targets was started again, seconds; 0: not yet. */
let restarted = 0;
const started = (): number => (restarted > 0 ? restarted : RECENT);

function openMetrics(): string {
  return `# TYPE requests counter
requests_total{code="200"} 5
requests_created{code="200"} ${RECENT}
requests_total{code="500"} 6 # {trace_id="a"} 1
requests_created{code="500"} ${started().toFixed(3)}
# TYPE old counter
old_total 5
old_created ${OLD}
# TYPE future counter
future_total 5
future_created ${FUTURE}
# TYPE never counter
never_total 5
# TYPE apart counter
apart_total{x="1"} 5
apart_total{x="2"} 5
apart_created{x="1"} ${RECENT}
apart_created{x="2"} ${RECENT}
# TYPE bare counter
bare_total 7
bare_created 0
# TYPE stamped counter
stamped_total 4 ${Math.floor(systemClock.now() / 1000) - 1}
stamped_created ${RECENT}
# TYPE latency histogram
latency_bucket{x="1",le="1.0"} 1
latency_bucket{x="1",le="+Inf"} 2
latency_sum{x="1"} 3
latency_count{x="1"} 2
latency_created{x="1"} ${started().toFixed(3)}
latency_bucket{le="1.0",x="2"} 1
latency_bucket{le="+Inf",x="2"} 2
latency_count{x="2"} 2
latency_sum{x="2"} 3
latency_created{x="2"} ${RECENT}
# TYPE wait summary
wait{quantile="0.5"} 1
wait_sum 2
wait_count 3
wait_created ${RECENT}
# TYPE gauge gauge
gauge 1
gauge_created 1
# TYPE depth gaugehistogram
depth_bucket{le="+Inf"} 1
depth_gcount 1
depth_gsum 1
depth_created 1
# EOF
`;
}

const TEXT = `# TYPE requests_total counter
requests_total 5
# TYPE requests_created gauge
requests_created ${RECENT}
# TYPE other counter
other 5
other_created ${RECENT}
`;

const time = (number: number, seconds: number): number[] =>
  field(
    number,
    enumeration(1, Math.floor(seconds)),
    enumeration(2, Math.round((seconds % 1) * 1000) * 1e6),
  );
const bucket = (count: number, bound: number): number[] =>
  field(3, enumeration(1, count), double(2, bound));
const NATIVE = [enumeration(5, 6), double(6, 0.001), enumeration(7, 1)];
const SPAN = [...field(12, enumeration(1, 0), enumeration(2, 1)), ...field(13, [4])];

function protobuf(): Uint8Array {
  return Uint8Array.from(
    [
      delimited(
        text(1, "requests_total"),
        field(4, label("code", "200"), field(3, double(1, 5.5), time(3, RECENT))),
        field(4, label("code", "500"), field(3, double(1, 6), time(3, started()))),
        field(4, label("code", "old"), field(3, double(1, 6), time(3, OLD))),
        field(4, label("code", "never"), field(3, double(1, 6))),
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
            time(4, RECENT),
          ),
        ),
      ),
      delimited(
        text(1, "classic"),
        enumeration(3, 4),
        field(4, field(7, enumeration(1, 2), double(2, 4), bucket(1, 1), time(15, RECENT))),
      ),
      delimited(
        text(1, "native"),
        enumeration(3, 4),
        field(
          4,
          label("x", "recent"),
          field(7, enumeration(1, 3), double(2, 4), ...NATIVE, SPAN, time(15, started())),
        ),
        field(4, label("x", "never"), field(7, enumeration(1, 3), double(2, 4), ...NATIVE, SPAN)),
        field(
          4,
          label("x", "future"),
          field(7, enumeration(1, 3), double(2, 4), ...NATIVE, SPAN, time(15, FUTURE)),
        ),
      ),
      delimited(text(1, "gauge"), enumeration(3, 1), field(4, field(2, double(1, 3)))),
    ].flat(),
  );
}

const JOBS: readonly BothJob[] = [
  {
    name: "openmetrics",
    contentType: "application/openmetrics-text; version=1.0.0",
    body: openMetrics,
  },
  { name: "text", contentType: "text/plain; version=0.0.4", body: () => TEXT },
  {
    name: "protobuf",
    contentType:
      "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
    body: protobuf,
    config: { scrapeNativeHistograms: true },
  },
];

/** The times of each series' zeros, and whether it has anything else. */
function zerosOf(rows: readonly Row[]): string[] {
  return rows
    .map(({ metric, values = [], histograms = [] }) => {
      const { instance: _, ...own } = metric;
      const pairs = JSON.stringify(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1)));
      const all = [
        ...values.map(([at, value]) => ({ at, isZero: value === "0" })),
        ...histograms.map(([at, one]) => ({
          at,
          isZero: (one as { count: string }).count === "0",
        })),
      ];
      const zeros = all.filter(({ isZero }) => isZero).map(({ at }) => at);
      return `${pairs} ${zeros.join(" ")} ${all.length > zeros.length}`;
    })
    .sort();
}

const QUERY = '{job=~"openmetrics|text|protobuf",__name__!~"scrape_.*|up"}';

test("a real Prometheus puts the same zeros in front", { skip: skipWithoutParts() }, async () => {
  const flags = ["--enable-feature=created-timestamp-zero-ingestion,native-histograms"];
  const manager = { storesCreated: true };
  await withBoth({ jobs: JOBS, flags, manager }, async ({ ours, theirs }) => {
    restarted = Math.floor(systemClock.now()) / 1000;
    for (const read of [ours, theirs])
      while ((await read('count_over_time(up[1m]) >= 5 and up{job="protobuf"}')).length === 0)
        await new Promise((resolve) => setTimeout(resolve, 100));
    const found = zerosOf(await ours(`${QUERY}[1h]`));
    assert.deepEqual(found, zerosOf(await theirs(`${QUERY}[1h]`)));
    const both = `${RECENT} ${restarted} true`;
    assert.equal(found.filter((row) => row.endsWith(both)).length, 7);
    const counts = '{__name__=~"scrape_samples_.*"}';
    assert.deepEqual(shown(await ours(counts)), shown(await theirs(counts)));
  });
});
