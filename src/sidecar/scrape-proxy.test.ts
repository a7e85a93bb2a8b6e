import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:net";
import { describe, it } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { systemClock } from "../base/clock.ts";
import { parseConfig } from "../config/load.ts";
import { ask, askedUrl, startProxy } from "./scrape-proxy.fixture.ts";

const TEXT = { "Content-Type": "text/plain; version=0.0.4" };

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, "it never happened");
    await systemClock.sleep(5);
  }
}

describe("ScrapeProxy", () => {
  it("passes an answer on byte by byte, asked with the agent's headers and the job's credentials", async (context) => {
    const { port, target } = await startProxy(context);
    const seen: IncomingMessage[] = [];
    const assigned = await target(
      (request, response) => {
        seen.push(request);
        response.writeHead(200, { ...TEXT, "Set-Cookie": "a=b" }).end('a 1\na{x="1"} 2\n');
      },
      { job: "basic_auth: {username: u, password: p}, params: {module: [one, two]}" },
    );
    const answer = await ask(port, assigned.url, {
      headers: {
        accept: "application/vnd.google.protobuf;q=0.9,*/*;q=0.1",
        "accept-encoding": "gzip",
        "user-agent": "Prometheus/3.5.0",
        "x-prometheus-scrape-timeout-seconds": "7",
        authorization: "Bearer of-the-agent",
        cookie: "c=d",
        "proxy-authorization": "Basic x",
      },
    });
    assert.deepEqual([answer.status, answer.body.toString()], [200, 'a 1\na{x="1"} 2\n']);
    assert.equal(answer.headers["content-type"], TEXT["Content-Type"]);
    assert.equal(answer.headers["content-length"], "15");
    assert.equal(answer.headers["set-cookie"], undefined);
    const [request] = seen;
    assert.equal(request?.url, "/metrics?module=one&module=two");
    const { headers } = request;
    assert.equal(headers.accept, "application/vnd.google.protobuf;q=0.9,*/*;q=0.1");
    assert.equal(headers["accept-encoding"], "gzip");
    assert.equal(headers["user-agent"], "Prometheus/3.5.0");
    assert.equal(headers["x-prometheus-scrape-timeout-seconds"], "7");
    assert.equal(headers.authorization, `Basic ${Buffer.from("u:p").toString("base64")}`);
    assert.equal(headers.cookie, undefined);
    assert.equal(headers["proxy-authorization"], undefined);
    await until(() => assigned.status().scrapes === 1);
    const { health, lastError, seriesScraped, seriesPostRelabel, bodyBytes } = assigned.status();
    assert.deepEqual([health, lastError, seriesScraped, seriesPostRelabel], ["up", "", 2, 2]);
    assert.equal(bodyBytes, 15);
  });

  it("refuses whatever is not assigned, and asks nobody", async (context) => {
    const { port, target, proxy } = await startProxy(context);
    let asked = 0;
    const assigned = await target(
      (_request, response) => {
        asked++;
        response.writeHead(200, TEXT).end("a 1\n");
      },
      { job: "params: {module: [one]}" },
    );
    const { target: wanted } = assigned;
    const elsewhere = new URL(assigned.url);
    elsewhere.hostname = "127.0.0.2";
    const otherPort = new URL(assigned.url);
    otherPort.port = "1";
    const otherPath = new URL(assigned.url);
    otherPath.pathname = "/admin";
    const cases: [string, RegExp][] = [
      [askedUrl(wanted, { _hash: "1" }), /no target with this hash is assigned here/],
      [askedUrl(wanted, { _jobName: "other" }), /it is of another job/],
      [askedUrl(wanted, { _scheme: "https" }), /its scheme is another/],
      [elsewhere.href, /its host is another/],
      [otherPort.href, /its port is another/],
      [otherPath.href, /its path is another/],
      [askedUrl(wanted, { module: "two" }), /its parameters are others/],
      [askedUrl(wanted, { target: "http://10.0.0.1/" }), /its parameters are others/],
      [`${assigned.url}&module=three`, /its parameters are others/],
      ["http://127.0.0.1:1/metrics", /the request has no parameter _hash/],
      [assigned.url.replace("http:", "https:"), /the request has no http URL/],
    ];
    for (const [url, reason] of cases) {
      const answer = await ask(port, url);
      assert.equal(answer.status, 403, url);
      assert.match(answer.body.toString(), reason);
    }
    assert.equal((await ask(port, assigned.url, { method: "POST" })).status, 405);
    assert.equal((await ask(port, assigned.url, { method: "HEAD" })).status, 405);
    const withBody = await ask(port, assigned.url, {
      body: "x",
      headers: { "content-length": "1" },
    });
    assert.equal(withBody.status, 400);
    assert.equal(asked, 0);

    assert.equal((await ask(port, assigned.url)).status, 200);
    // Targets that are given to others are served no more, though they were just asked for.
    proxy.apply({ config: parseConfig("{}", { path: "p", baseFolder: "/" }), targets: [] });
    assert.equal((await ask(port, assigned.url)).status, 403);
    assert.equal(asked, 1);
  });

  it("counts what metric relabelling leaves, which sees the target's labels", async (context) => {
    const { port, target } = await startProxy(context);
    const lines = Array.from({ length: 40 }, (_, i) => `work{i="${i}"} `);
    let scrape = 0;
    const assigned = await target(
      (_request, response) => {
        scrape++;
        const extra = scrape === 3 ? "late 1\n" : "";
        response
          .writeHead(200, TEXT)
          .end(`# TYPE work gauge\n${lines.map((line) => `${line}${scrape}\n`).join("")}${extra}`);
      },
      {
        labels: { zone: "z" },
        job: 'metric_relabel_configs: [{source_labels: [zone, i], regex: "z;3.", action: drop}]',
      },
    );
    for (const [total, kept, added] of [
      [40, 30, 30],
      [40, 30, 0],
      [41, 31, 1],
    ]) {
      const before = scrape;
      await ask(port, assigned.url);
      await until(() => assigned.status().scrapes === before + 1);
      const { seriesScraped, seriesPostRelabel, seriesAdded } = assigned.status();
      assert.deepEqual([seriesScraped, seriesPostRelabel, seriesAdded], [total, kept, added]);
    }
  });

  it("counts names in quotes, OpenMetrics, and bodies that stay packed on their way", async (context) => {
    const { port, target, proxy } = await startProxy(context);
    const utf8 = '{"a.b",x="y"} 1\n{"a.b",x="z"} 2\nplain{"x.y"="1"} 3\n';
    const openMetrics = "# TYPE a counter\na_total 1\n# EOF\n";
    const cases: [Buffer, Record<string, string>, number][] = [
      [Buffer.from(utf8), { "Content-Type": "text/plain; version=1.0.0" }, 3],
      [
        Buffer.from(openMetrics),
        { "Content-Type": "application/openmetrics-text; version=1.0.0" },
        1,
      ],
      [gzipSync(utf8), { ...TEXT, "Content-Encoding": "gzip" }, 3],
      [brotliCompressSync(utf8), { ...TEXT, "Content-Encoding": "br" }, 3],
      [Buffer.alloc(0), TEXT, 0],
    ];
    let current = cases[0]!;
    const assigned = await target((_request, response) => {
      response.writeHead(200, current[1]).end(current[0]);
    });
    for (const [i, each] of cases.entries()) {
      current = each;
      const answer = await ask(port, assigned.url);
      assert.deepEqual(answer.body, each[0]);
      assert.equal(answer.headers["content-encoding"], each[1]["Content-Encoding"]);
      await until(() => assigned.status().scrapes === i + 1);
      assert.deepEqual([assigned.status().health, assigned.status().lastError], ["up", ""]);
      assert.equal(assigned.status().seriesScraped, each[2], `case ${i}`);
      if (i > 0) continue;
      const metrics = new Map<string, { total: number; scraped: number }>();
      for (const { counter } of proxy.targets) counter.addMetrics(metrics);
      assert.deepEqual(
        [...metrics],
        [
          ["a.b", { total: 2, scraped: 2 }],
          ["plain", { total: 1, scraped: 1 }],
        ],
      );
    }
  });

  it("makes a body that breaks off an error to the agent too", async (context) => {
    const { port, target } = await startProxy(context);
    let isChunked = false;
    const assigned = await target((_request, response) => {
      response.writeHead(200, isChunked ? TEXT : { ...TEXT, "Content-Length": "1000" });
      response.write("a 1\nb 2\n", () => response.destroy());
    });
    for (const chunked of [false, true]) {
      isChunked = chunked;
      const answer = await ask(port, assigned.url);
      assert.equal(answer.status, 502);
      assert.match(answer.body.toString(), /EOF/);
    }
    await until(() => assigned.status().scrapes === 2);
    const { health, seriesScraped } = assigned.status();
    assert.deepEqual([health, seriesScraped], ["down", 0]);
    assert.match(assigned.status().lastError, /EOF/);
  });

  it("keeps to the job's limits: size, time and redirects", async (context) => {
    const { port, target } = await startProxy(context);
    const large = await target(
      (_request, response) => response.writeHead(200, TEXT).end("a 1\n".repeat(100)),
      { job: "body_size_limit: 100B" },
    );
    const refused = await ask(port, large.url);
    assert.deepEqual(
      [refused.status, refused.body.toString()],
      [502, "body size limit exceeded\n"],
    );
    const slow = await target(() => {}, { job: "scrape_timeout: 50ms, scrape_interval: 1s" });
    assert.equal((await ask(port, slow.url)).status, 504);
    const moved = await target(
      (request, response) =>
        request.url === "/metrics"
          ? response.writeHead(302, { Location: "/other" }).end()
          : response.writeHead(200, TEXT).end("moved 1\n"),
      {},
    );
    assert.equal((await ask(port, moved.url)).body.toString(), "moved 1\n");
    const still = await target(
      (_request, response) => response.writeHead(302, { Location: "/other" }).end(),
      { job: "follow_redirects: false" },
    );
    const answer = await ask(port, still.url);
    assert.deepEqual([answer.status, answer.headers.location], [502, undefined]);
  });

  it("passes a target's refusal on, and answers for a target that is not there", async (context) => {
    const { port, target } = await startProxy(context);
    const assigned = await target((_request, response) => response.writeHead(404).end("not here"));
    const refused = await ask(port, assigned.url);
    assert.deepEqual([refused.status, refused.body.toString()], [404, "not here\n"]);
    await until(() => assigned.status().scrapes === 1);
    assert.equal(assigned.status().lastError, "server returned HTTP status 404 Not Found");
    assigned.server.closeAllConnections();
    assigned.server.close();
    await once(assigned.server, "close");
    const gone = await ask(port, assigned.url);
    assert.equal(gone.status, 502);
    assert.match(gone.body.toString(), /connection refused/);
  });

  it("lets go of a target when the agent gives up", async (context) => {
    const { port, target } = await startProxy(context);
    const { promise: arrived, resolve: onArrived } = Promise.withResolvers<IncomingMessage>();
    const assigned = await target((request) => onArrived(request));
    const abort = new AbortController();
    const asked = ask(port, assigned.url, { signal: abort.signal });
    const request = await arrived;
    const closed = once(request.socket, "close");
    abort.abort();
    await assert.rejects(asked);
    await closed;
    await until(() => assigned.status().health === "down");
  });

  it("keeps its connections to a target open", async (context) => {
    const { port, target } = await startProxy(context);
    const ports = new Set<number>();
    const assigned = await target((request, response) => {
      ports.add(request.socket.remotePort!);
      response.writeHead(200, TEXT).end("a 1\n");
    });
    for (let i = 0; i < 5; i++) await ask(port, assigned.url);
    assert.equal(ports.size, 1);
  });

  it("answers with the reason while scraping is stopped", async (context) => {
    const { port, target, proxy } = await startProxy(context);
    let asked = 0;
    const assigned = await target((_request, response) => {
      asked++;
      response.writeHead(200, TEXT).end("a 1\n");
    });
    proxy.stopScraping("too much");
    const stopped = await ask(port, assigned.url);
    assert.deepEqual([stopped.status, stopped.body.toString()], [503, "too much\n"]);
    proxy.stopScraping("");
    assert.equal((await ask(port, assigned.url)).status, 200);
    assert.equal(asked, 1);
  });

  it("asks no target that is refused, and says why", async (context) => {
    const { port, target } = await startProxy(context);
    let asked = 0;
    const assigned = await target((_request, response) => {
      asked++;
      response.writeHead(200, TEXT).end("a 1\n");
    });
    assigned.refuse("target_limit exceeded");
    const refused = await ask(port, assigned.url);
    assert.deepEqual([refused.status, refused.body.toString()], [503, "target_limit exceeded\n"]);
    assert.deepEqual([assigned.status().health, asked], ["down", 0]);
    assert.equal(assigned.status().lastError, "target_limit exceeded");
    assigned.refuse();
    assert.equal((await ask(port, assigned.url)).status, 200);
  });

  it("is not led astray by what a request says of its own end", async (context) => {
    const { port, target } = await startProxy(context);
    const paths: string[] = [];
    const assigned = await target((request, response) => {
      paths.push(request.url ?? "");
      response.writeHead(200, TEXT).end("a 1\n");
    });
    const head = `GET ${assigned.url} HTTP/1.1\r\nHost: x\r\n`;
    const cases: [string, RegExp][] = [
      [`${head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, /^HTTP\/1.1 400/],
      [
        `${head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n`,
        /^HTTP\/1.1 400/,
      ],
      [`${head}Content-Length: 4\r\n\r\nGET `, /^HTTP\/1.1 400/],
      [`CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: x\r\n\r\n`, /^HTTP\/1.1 405 /],
      [`GET ${assigned.url} HTTP/1.1\r\nHost : x\r\n\r\n`, /^HTTP\/1.1 400/],
      [`${head}X: ${"a".repeat(20_000)}\r\n\r\n`, /^HTTP\/1.1 431/],
      // Two questions at once are answered one after the other.
      [`${head}\r\n${head}Connection: close\r\n\r\n`, /^HTTP\/1.1 200 [^]*HTTP\/1.1 200 /],
    ];
    for (const [text, answer] of cases) {
      const socket = connect(port, "127.0.0.1");
      let received = "";
      socket.on("data", (data: Buffer) => (received += data.toString()));
      socket.on("error", () => {});
      socket.write(text);
      await once(socket, "close");
      assert.match(received, answer, text.slice(0, 200));
    }
    assert.deepEqual(paths, ["/metrics", "/metrics"]);
  });
});
