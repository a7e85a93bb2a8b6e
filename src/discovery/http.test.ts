import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { systemClock } from "../base/clock.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { createHttp } from "./http.ts";
import { TestReports, testContext } from "./test-reports.ts";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** A server whose answer the test changes, and the mechanism that asks it again and again. */
async function discover(t: TestContext, first: Answer) {
  const current = { answer: first };
  const server = createServer((request, response) => current.answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/sd`;
  // Looks again at once; the interval stays long, for it is the time-out too.
  const clock = {
    ...systemClock,
    sleep: (_ms: number, signal?: AbortSignal) => systemClock.sleep(5, signal),
  };
  const context = { ...testContext(), clock };
  const reports = TestReports.run(
    t,
    createHttp({ url, refreshIntervalMs: 30_000, httpClient: plainHttpClient() }, context),
  );
  return { url, reports, context, current };
}

const json =
  (value: unknown, type = "application/json"): Answer =>
  (_request, response) => {
    response.setHeader("content-type", type);
    response.end(JSON.stringify(value));
  };

test("the list is asked for as Prometheus asks, and labelled with its URL", async (t) => {
  let headers: IncomingMessage["headers"] = {};
  const { url, reports } = await discover(t, (request, response) => {
    headers = request.headers;
    json([{ targets: ["h:1"], labels: { a: "b" } }, { targets: ["h:2"] }])(request, response);
  });
  const finding = await reports.next();
  assert.deepEqual(finding, {
    groups: [
      {
        source: `${url}:0`,
        labels: { a: "b", __meta_url: url },
        targets: [{ __address__: "h:1" }],
      },
      { source: `${url}:1`, labels: { __meta_url: url }, targets: [{ __address__: "h:2" }] },
    ],
    errors: [],
  });
  assert.equal(headers["accept"], "application/json");
  assert.equal(headers["x-prometheus-refresh-interval-seconds"], "30");
});

test("every kind of bad answer is an error without a list", async (t) => {
  const { reports, context, current } = await discover(t, json([{ targets: ["h:1"] }]));
  await reports.addresses(["h:1"]);
  const f = async (answer: Answer, want: string | RegExp): Promise<void> => {
    current.answer = answer;
    const finding = await reports.next(
      ({ errors: [error] }) =>
        error !== undefined && (typeof want === "string" ? error === want : want.test(error)),
    );
    assert.equal(finding.groups, undefined);
  };
  await f((_request, response) => {
    response.statusCode = 500;
    response.end("no");
  }, "server returned HTTP status 500 Internal Server Error");
  await f(json([], "text/html"), 'unsupported content type "text/html"');
  await f(json([], "application/json; charset=latin1"), /^unsupported content type/);
  await f(json([{ targets: [1] }]), /targets of target group 0/);
  await f((_request, response) => {
    response.setHeader("content-type", "application/json");
    response.end("[{");
  }, /^cannot parse JSON/);
  await f((_request, response) => {
    response.setHeader("content-type", "application/json").setHeader("content-encoding", "gzip");
    response.end("not gzip");
  }, /^cannot decompress target list/);
  await f((_request, response) => {
    response.setHeader("content-type", "application/json").setHeader("content-encoding", "gzip");
    response.end(gzipSync(Buffer.alloc(65 * 1024 * 1024, " ")));
  }, /^cannot decompress target list/);
  assert.match(context.registry.expose(), /prometheus_sd_http_failures_total [1-9]/);
  current.answer = (_request, response) => {
    response.setHeader("content-type", 'application/json; charset="utf-8"');
    response.setHeader("content-encoding", "gzip");
    response.end(gzipSync('[{"targets":["h:7"]}]'));
  };
  await reports.addresses(["h:7"]);
});
