import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../base/errors.ts";
import { acceptHeader, selectParser, type ExpositionProtocol } from "./accept.ts";

const DEFAULT_PROTOCOLS: ExpositionProtocol[] = [
  "OpenMetricsText1.0.0",
  "OpenMetricsText0.0.1",
  "PrometheusText1.0.0",
  "PrometheusText0.0.4",
];

test("the Accept header of the default protocols is Prometheus's, byte for byte", () => {
  assert.equal(
    acceptHeader(DEFAULT_PROTOCOLS, "allow-utf-8"),
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
  );
});

test("protocols come in the order asked for", () => {
  assert.equal(
    acceptHeader(["PrometheusProto", "PrometheusText0.0.4", "OpenMetricsText1.0.0"], "underscores"),
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;escaping=underscores;q=0.4,*/*;q=0.3",
  );
});

test("Content-Type selects the parser", () => {
  const f = (type: string, want: string): void => assert.equal(selectParser(type, ""), want, type);
  f("text/plain", "text");
  f("text/plain; version=0.0.4; charset=utf-8", "text");
  f("TEXT/Plain;version=1.0.0;escaping=allow-utf-8", "text");
  f('application/openmetrics-text; version="1.0.0"; charset=utf-8', "openmetrics");
  f("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily", "protobuf");
});

test("without a known Content-Type the fallback decides, or the scrape fails", () => {
  const f = (type: string | undefined, want: string): void => {
    assert.throws(
      () => selectParser(type, ""),
      (error) => error instanceof AppError && error.message === want,
    );
    assert.equal(selectParser(type, "PrometheusText0.0.4"), "text");
    assert.equal(selectParser(type, "OpenMetricsText1.0.0"), "openmetrics");
  };
  f(
    undefined,
    "non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified for target",
  );
  f(
    "text/html",
    'received unsupported Content-Type "text/html" and no fallback_scrape_protocol specified for target',
  );
  f(
    "text plain;;",
    'cannot parse Content-Type "text plain;;" and no fallback_scrape_protocol for target',
  );
});

test("a long hostile Content-Type is judged at once", () => {
  assert.throws(() => selectParser(`a${"; a=b".repeat(20_000)}!`, ""), AppError);
  assert.throws(() => selectParser(`a${" ".repeat(60_000)}!`, ""), AppError);
});
