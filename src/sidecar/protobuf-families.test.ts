import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AppError } from "../base/errors.ts";
import { parseConfig } from "../config/load.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { Labels } from "../model/labels.ts";
import { createLabeler } from "../scrape/sample-labels.ts";
import { isProtobuf } from "../exposition/protobuf.ts";
import {
  delimited,
  double,
  enumeration,
  field,
  label,
  text,
} from "../exposition/protobuf.fixture.ts";
import { countFamilies } from "./protobuf-families.ts";

const COUNTER = delimited(
  text(1, "requests"),
  text(2, "help"),
  field(4, label("code", "200"), field(3, double(1, 5))),
  field(4, label("code", "500"), field(3, double(1, 1))),
);
const GAUGE = delimited(text(1, "up"), enumeration(3, 1), field(4, field(2, double(1, 1))));
const SUMMARY = delimited(
  text(1, "wait"),
  enumeration(3, 2),
  field(
    4,
    field(4, enumeration(1, 3), double(2, 1), field(3, double(1, 0.5)), field(3, double(1, 1))),
  ),
);
const BUCKETS = [
  field(3, enumeration(1, 1), double(2, 0.1)),
  field(3, enumeration(1, 2), double(2, 1)),
];
const CLASSIC = delimited(text(1, "size"), enumeration(3, 4), field(4, field(7, ...BUCKETS)));
const NATIVE = delimited(
  text(1, "took"),
  enumeration(3, 4),
  field(4, field(7, ...BUCKETS, enumeration(5, 6), double(6, 0.001), field(12, enumeration(2, 1)))),
);
/** Nothing observed yet: only an empty span says that it is native. */
const EMPTY_NATIVE = delimited(text(1, "idle"), enumeration(3, 4), field(4, field(7, field(12))));

function job(yaml: string): ScrapeConfig {
  return parseConfig(`scrape_configs: [{job_name: a, ${yaml}}]`, { path: "p", baseFolder: "/" })
    .scrapeConfigs[0]!;
}

function count(families: number[][], yaml = ""): { scraped: number; kept: number; names: string } {
  const bytes = Uint8Array.from(families.flat());
  const config = job(yaml);
  const labeler = createLabeler(config, Labels.fromPairs([["zone", "z"]]));
  const found = countFamilies({ bytes, length: bytes.length }, { config, labeler });
  const names = [...found.metrics].map(([name, { total }]) => `${name}:${total}`).join(" ");
  return { scraped: found.scraped, kept: found.kept, names };
}

describe("countFamilies", () => {
  it("counts every kind of metric as Prometheus stores it", () => {
    assert.equal(count([COUNTER, GAUGE]).names, "requests:2 up:1");
    assert.equal(count([SUMMARY]).names, "wait:2 wait_sum:1 wait_count:1");
    // The bucket without an upper bound is added.
    assert.equal(count([CLASSIC]).names, "size_bucket:3 size_sum:1 size_count:1");
    assert.equal(count([NATIVE, EMPTY_NATIVE]).names, "took:1 idle:1");
    assert.equal(
      count([NATIVE, EMPTY_NATIVE], "always_scrape_classic_histograms: true").names,
      "took:1 took_bucket:3 took_sum:1 took_count:1 idle:1",
    );
    assert.deepEqual(count([]), { scraped: 0, kept: 0, names: "" });
  });

  it("counts what relabelling leaves, by all labels", () => {
    const drop = (labels: string, regex: string): number =>
      count(
        [COUNTER, CLASSIC, SUMMARY],
        `metric_relabel_configs: [{source_labels: [${labels}], regex: "${regex}", action: drop}]`,
      ).kept;
    assert.equal(count([COUNTER, CLASSIC, SUMMARY]).scraped, 11);
    assert.equal(drop("__name__", "size_bucket"), 8);
    assert.equal(drop("le", "1.0"), 10);
    assert.equal(drop("le", "[+]Inf"), 10);
    assert.equal(drop("quantile", "0.5"), 10);
    assert.equal(drop("zone, code", "z;500"), 10);
  });

  it("refuses what is cut off or has no value", () => {
    for (const body of [COUNTER.slice(0, -1), delimited(text(1, "a"), field(4))])
      assert.throws(
        () => count([body]),
        (error) => error instanceof AppError && error.code === "corrupt",
      );
  });
});

describe("isProtobuf", () => {
  it("goes by the media type", () => {
    assert.ok(
      isProtobuf("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily"),
    );
    assert.ok(!isProtobuf("text/plain; version=0.0.4"));
    assert.ok(!isProtobuf(undefined));
  });
});
