import assert from "node:assert/strict";
import { test } from "node:test";
import {
  durationParameter,
  limitParameter,
  lookbackParameter,
  MAX_TIME_MS,
  MIN_TIME_MS,
  parseTime,
  requiredTime,
  timeParameter,
} from "./parameters.ts";

test("times are unix seconds or RFC 3339", () => {
  const f = (text: string, want: number | undefined): void =>
    assert.equal(parseTime(text), want, text);
  f("1", 1000);
  f("1.5", 1500);
  f("1.2345", 1235);
  f("-1", -1000);
  f("1e3", 1_000_000);
  f("2015-06-03T13:21:58.555Z", 1_433_337_718_555);
  f("2015-06-03T13:21:58.555123456Z", 1_433_337_718_555);
  f("2015-06-03T14:21:58.555+01:00", 1_433_337_718_555);
  f("-292273086-05-16T16:47:06Z", MIN_TIME_MS);
  f("292277025-08-18T07:12:54.999999999Z", MAX_TIME_MS);
  f("", undefined);
  f("30s", undefined);
  f("Inf", undefined);
  f("2015-06-03", undefined);
  f("2015-13-03T13:21:58Z", undefined);
  f("2015-02-29T13:21:58Z", undefined);
  f("2016-02-29T13:21:58Z", 1_456_752_118_000);
  f("1_000", 1_000_000);
  f("_1", undefined);
});

test("refusals carry Prometheus's texts", () => {
  const f = (
    query: string,
    call: (parameters: URLSearchParams) => unknown,
    message: string,
  ): void => {
    assert.throws(() => call(new URLSearchParams(query)), { code: "bad-data", message });
  };
  f(
    "start=x",
    (p) => requiredTime(p, "start"),
    'invalid parameter "start": cannot parse "x" to a valid timestamp',
  );
  f(
    "",
    (p) => requiredTime(p, "start"),
    'invalid parameter "start": cannot parse "" to a valid timestamp',
  );
  f(
    "time=now",
    (p) => timeParameter(p, "time", 0),
    'invalid parameter "time": invalid time value for \'time\': cannot parse "now" to a valid timestamp',
  );
  f(
    "step=x",
    (p) => durationParameter(p, "step"),
    'invalid parameter "step": cannot parse "x" to a valid duration',
  );
  f(
    "limit=x",
    limitParameter,
    'invalid parameter "limit": strconv.Atoi: parsing "x": invalid syntax',
  );
  f(
    "step=1e30",
    (p) => durationParameter(p, "step"),
    'invalid parameter "step": cannot parse "1e30" to a valid duration. It overflows int64',
  );
  f(
    "lookback_delta=x",
    lookbackParameter,
    'error parsing lookback delta duration: cannot parse "x" to a valid duration',
  );
  f(
    "limit=9999999999999999999",
    limitParameter,
    'invalid parameter "limit": strconv.Atoi: parsing "9999999999999999999": value out of range',
  );
  f("limit=-1", limitParameter, 'invalid parameter "limit": limit must be non-negative');
});

test("absent parameters take their fallback", () => {
  const none = new URLSearchParams();
  assert.equal(timeParameter(none, "time", 42), 42);
  assert.equal(durationParameter(none, "timeout"), undefined);
  assert.equal(limitParameter(none), 0);
  assert.equal(durationParameter(new URLSearchParams("step=1m30s"), "step"), 90_000);
  assert.equal(durationParameter(new URLSearchParams("step=0.5"), "step"), 500);
});
