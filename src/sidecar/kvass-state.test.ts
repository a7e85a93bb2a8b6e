import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseConfig } from "../config/load.ts";
import { buildTarget } from "../model/target-build.ts";
import { hashTarget } from "../model/target-hash.ts";
import { importKvassState } from "./kvass-state.ts";

const config = parseConfig(
  `scrape_configs:
  - {job_name: test, scrape_interval: 30s, params: {module: [a, b]}}
  - {job_name: other}
`,
  { path: "p", baseFolder: "/" },
);

const STATE = `{"Targets": {"test": [
  {"hash": 16997748898574205195, "labels": {"__address__": "127.0.0.1:9091", "__metrics_path__": "/m",
   "__scheme__": "https", "instance": "i", "job": "test", "__invalid_label_a-b": "c"},
   "series": 10, "totalSeries": 12, "TargetState": "in_transfer"}],
  "gone": [{"hash": 1, "labels": {"__address__": "a:1"}}]}, "IdleAt": null}`;

describe("importKvassState", () => {
  it("reads both of Kvass's files", () => {
    const [only, ...more] = importKvassState(STATE, { config, nowMs: 5 });
    assert.equal(more.length, 0);
    assert.ok(only !== undefined);
    const { target, ...rest } = only;
    assert.deepEqual(rest, {
      state: "in_transfer",
      assignedAtMs: 5,
      load: {
        series: 10,
        rawSeries: 12,
        samplesPerSecond: 0,
        bodyBytesPerSecond: 0,
        newSeriesPerHour: 0,
      },
    });
    assert.equal(target.url, "https://127.0.0.1:9091/m?module=a&module=b");
    assert.equal(target.intervalMs, 30_000);
    assert.equal(target.labels.toString(), '{"a-b"="c", instance="i", job="test"}');
    const old = importKvassState('{"other": [{"labels": {"__address__": "a:1"}}]}', {
      config,
      nowMs: 5,
    });
    assert.deepEqual(
      old.map((each) => [each.target.job, each.target.url, each.state]),
      [["other", "http://a:1/metrics", "normal"]],
    );
  });

  it("finds every target of a file that a real Kvass has written under our coordinator", () => {
    const file = new URL("testdata/kvass/state.json", import.meta.url);
    const recorded = JSON.parse(readFileSync(file, "utf8")) as Record<string, string> & {
      hashes: string[];
    };
    const own = parseConfig(recorded["config"]!, { path: "p", baseFolder: "/" });
    const found = importKvassState(recorded["state"]!, { config: own, nowMs: 5 });
    // Labels that the coordinator gives targets since it was recorded are in no hash there.
    const names = /"(\w+)":"/g;
    const then = new Set([...recorded["state"]!.matchAll(names)].map(([, name]) => name!));
    const hashes = found.map(({ target: { allLabels, url } }) =>
      hashTarget(allLabels.only(then), url),
    );
    assert.deepEqual(hashes.sort(), recorded.hashes);
    assert.ok(found.every(({ load }) => load.series === 28 && load.rawSeries === 30));
    assert.deepEqual(
      [...new Set(found.map(({ target }) => target.url.replace(/\d+(?=\/)/, "PORT")))],
      [
        "http://127.0.0.1:PORT/metrics",
        "http://127.0.0.1:PORT/probe?module=default&module=second&x=1",
      ],
    );
  });

  it("makes of a file that Kvass's own coordinator has filled what our discovery finds", () => {
    const file = new URL("testdata/kvass/own-state.json", import.meta.url);
    const recorded = JSON.parse(readFileSync(file, "utf8")) as {
      readonly config: string;
      readonly addresses: readonly string[];
      readonly state: string;
    };
    const own = parseConfig(recorded.config, { path: "p", baseFolder: "/" });
    const [plain, probe] = own.scrapeConfigs;
    const hashes = recorded.addresses.map((address, i) => {
      const labels = { __address__: address, ...(i < 4 && { zone: "Zürich" }) };
      const result = buildTarget({ labels }, i < 4 ? plain! : probe!);
      return result.kind === "target" ? result.target.hash : result.kind;
    });
    const found = importKvassState(recorded.state, { config: own, nowMs: 5 });
    assert.deepEqual(new Set(found.map(({ target }) => target.hash)), new Set(hashes));
  });

  it("refuses what is torn, and has nothing of what is empty", () => {
    const read = (text: string): unknown => importKvassState(text, { config, nowMs: 0 });
    assert.throws(() => read(STATE.slice(0, 40)), { code: "bad-data" });
    assert.throws(() => read('{"Targets": {"test": [{}]}}'), { code: "bad-data" });
    assert.deepEqual(read('{"Targets": null, "IdleAt": "2022-11-16T00:00:00Z"}'), []);
  });
});
