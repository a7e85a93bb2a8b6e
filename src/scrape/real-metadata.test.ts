/** What series say of themselves, in the log of a real Prometheus and in ours: it must be the same. */
import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type BothJob, withBoth } from "../../test/support/both-scrape.ts";
import { skipWithoutParts } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import {
  delimited,
  double,
  enumeration,
  field,
  label,
  text,
} from "../exposition/protobuf.fixture.ts";
import { createMatcher } from "../model/matcher.ts";
import { type Database, openDatabase } from "../tsdb/database.ts";
import { dropRule } from "./scrape.fixture.ts";

const TEXT = `without_family 1
# HELP requests_total How many \\\\ requests\\ncame.
# TYPE requests_total counter
requests_total{code="200"} 1
requests_total{code="500"} 2
requests 3
# TYPE latency histogram
# HELP latency Late help.
latency_bucket{le="1"} 1
latency_bucket{le="+Inf"} 1
latency_sum 1
latency_count 1
latency_other 1
# TYPE wait summary
wait{quantile="0.5"} 1
wait_sum 2
wait_count 1
# HELP only_help Nothing else.
only_help 1
# TYPE dropped gauge
dropped 1
# TYPE renamed gauge
renamed 1
`;

const OPENMETRICS = `# TYPE requests counter
# HELP requests How many.
requests_total 1
requests_created 1
# TYPE size_bytes gauge
# UNIT size_bytes bytes
# HELP size_bytes How large.
size_bytes 1
# TYPE build info
build_info{version="1"} 1
# TYPE state stateset
state{state="on"} 1
# TYPE queue gaugehistogram
queue_bucket{le="+Inf"} 1
queue_gcount 1
queue_gsum 1
# TYPE odd unknown
odd 1
# EOF
`;

const PROTOBUF = Uint8Array.from(
  [
    delimited(
      text(1, "read_bytes_total"),
      text(2, "How much."),
      text(5, "bytes"),
      field(4, label("code", "200"), field(3, double(1, 5.5))),
    ),
    delimited(
      text(1, "depth"),
      enumeration(3, 5),
      field(
        4,
        field(7, enumeration(1, 3), double(2, 1), field(3, enumeration(1, 3), double(2, Infinity))),
      ),
    ),
  ].flat(),
);

const RELABEL = `metric_relabel_configs:
    - {source_labels: [__name__], regex: dropped, action: drop}
    - {source_labels: [__name__], regex: renamed, target_label: __name__, replacement: other}`;

/** By labels. */
async function metadataOf(db: Database): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const matchers = [createMatcher("job", "=~", ".+")];
  for await (const { series } of db.select({ matchers, minTimeMs: 0, maxTimeMs: 1e15 }))
    for (const { labels } of series) {
      const metadata = db.head.metadata(db.head.resolve(labels));
      found.set(labels.without(["instance"]).toString(), JSON.stringify(metadata) ?? "none");
    }
  return found;
}

async function open(folder: string): Promise<Database> {
  return openDatabase({
    folder,
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 1e12,
    maxExemplars: 0,
  });
}

test("a real Prometheus logs the same metadata", { skip: skipWithoutParts() }, async () => {
  let isLater = false;
  const jobs: BothJob[] = [
    {
      name: "text",
      contentType: "text/plain; version=0.0.4",
      body: () => (isLater ? `${TEXT.replace("Late help.", "New help.")}later 1\n` : TEXT),
      yaml: RELABEL,
      config: {
        metricRelabelConfigs: [
          dropRule("dropped"),
          {
            ...dropRule("renamed"),
            action: "replace",
            targetLabel: "__name__",
            replacement: "other",
          },
        ],
      },
    },
    {
      name: "openmetrics",
      contentType: "application/openmetrics-text; version=1.0.0",
      body: () => OPENMETRICS,
    },
    {
      name: "protobuf",
      contentType:
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited",
      body: () => PROTOBUF,
    },
  ];
  const flags = ["--enable-feature=metadata-wal-records"];
  await withBoth({ jobs, flags, manager: { storesMetadata: true } }, async (both) => {
    isLater = true;
    for (const read of [both.ours, both.theirs])
      while ((await read("count_over_time(later[1m]) >= 2")).length === 0)
        await new Promise((resolve) => setTimeout(resolve, 100));
    const folder = await mkdtemp(join(tmpdir(), "real-metadata-"));
    await cp(join(both.prometheusFolder, "wal"), join(folder, "wal"), { recursive: true });
    const copy = await open(folder);
    try {
      const [found, wanted] = [await metadataOf(both.db), await metadataOf(copy)];
      assert.deepEqual(found, wanted);
      assert.ok([...found.values()].some((one) => one.includes("New help.")));
      assert.ok([...found.values()].filter((one) => one !== "none").length > 20);
    } finally {
      await copy.close();
      await rm(folder, { recursive: true });
    }
  });
});
