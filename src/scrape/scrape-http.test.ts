/** One scrape at a time against real HTTP servers that do what servers do at their worst. */
import assert from "node:assert/strict";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test } from "node:test";
import { gzipSync } from "node:zlib";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { createHttpClient, type HttpClient } from "../http/client.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { compileAnchored } from "../model/regex.ts";
import { BodyPool, ColumnPool } from "./buffers.ts";
import { exploreTarget } from "./explore.ts";
import { ScanScratch } from "./scan-scratch.ts";
import { createScrapeMetrics } from "./metrics.ts";
import { FakeStorage, scrapeConfig, targetOf } from "./scrape.fixture.ts";
import { TargetScraper, type ScrapeOutcome } from "./target-scraper.ts";

const cleanups: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

async function serve(listener: RequestListener): Promise<{ url: string; server: Server }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  cleanups.push(
    () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  );
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/metrics`, server };
}

function newClient(): HttpClient {
  const client = createHttpClient(plainHttpClient(), { userAgent: "Shoal/test" });
  cleanups.push(() => client.close());
  return client;
}

const TEXT = { "content-type": "text/plain; version=0.0.4" };

/** Scrapes `url` `times` times into a new storage. */
async function scrape(
  url: string,
  options: { config?: Partial<ScrapeConfig>; timeoutMs?: number; times?: number } = {},
): Promise<{ storage: FakeStorage; outcomes: ScrapeOutcome[] }> {
  const storage = new FakeStorage();
  const scraper = new TargetScraper(
    {
      appendable: storage,
      logger: silentLogger,
      clock: systemClock,
      metrics: createScrapeMetrics(new Registry()),
      scratch: new ScanScratch(3),
      bodies: new BodyPool(),
      columns: new ColumnPool(),
      bodyMaxBytes: 1 << 20,
      storesMetadata: false,
      storesCreated: false,
    },
    {
      target: targetOf(url, { labels: { instance: "i" }, timeoutMs: options.timeoutMs ?? 5000 }),
      settings: {
        config: scrapeConfig(options.config),
        client: newClient(),
        forcedError: undefined,
      },
    },
  );
  const outcomes: ScrapeOutcome[] = [];
  for (let i = 0; i < (options.times ?? 1); i++)
    outcomes.push((await scraper.scrape(1000 + i, new AbortController().signal))!);
  return { storage, outcomes };
}

test("exemplars of OpenMetrics go along, at their own time or that of their sample", async () => {
  let n = 0;
  const { url } = await serve((_request, response) => {
    n++;
    response.setHeader("content-type", "application/openmetrics-text; version=1.0.0");
    response.end(
      `# TYPE h histogram\nh_bucket{le="1"} ${n} # {trace_id="a\\"${n}",span="ü"} 0.5 7.25\n` +
        `h_bucket{le="+Inf"} ${n}\nh_count ${n}\n# TYPE c counter\n` +
        `c_total{x="1"} ${n} 0.001 # {} 2\nc_total{x="2"} ${n} # {trace_id="t"} ${n}\n# EOF\n`,
    );
  });
  const { storage } = await scrape(url, { times: 2 });
  const series = (name: string, rest: string): string =>
    `{__name__="${name}", instance="i", job="job", ${rest}}`;
  assert.deepEqual(storage.exemplars, [
    `${series("h_bucket", 'le="1.0"')}: {span="ü", trace_id="a\\"1"} 0.5 @7250`,
    `${series("c_total", 'x="1"')}: {} 2 @1`,
    `${series("c_total", 'x="2"')}: {trace_id="t"} 1 @1000`,
    `${series("h_bucket", 'le="1.0"')}: {span="ü", trace_id="a\\"2"} 0.5 @7250`,
    `${series("c_total", 'x="1"')}: {} 2 @1`,
    `${series("c_total", 'x="2"')}: {trace_id="t"} 2 @1001`,
  ]);
});

test("plain and gzip bodies give the same samples, over one connection", async () => {
  const text = Array.from({ length: 2000 }, (_, i) => `m{i="${i}"} ${i}\n`).join("");
  const connections = new Set<unknown>();
  const { url } = await serve((request, response) => {
    connections.add(request.socket);
    const zipped = request.headers["accept-encoding"] === "gzip";
    response.writeHead(200, zipped ? { ...TEXT, "content-encoding": "gzip" } : TEXT);
    response.end(zipped ? gzipSync(text) : text);
  });
  const zipped = await scrape(url, { times: 3 });
  assert.equal(connections.size, 1);
  const plain = await scrape(url, { config: { enableCompression: false }, times: 3 });
  assert.equal(zipped.storage.lastSamples().length, 2000);
  assert.deepEqual(zipped.storage.lastSamples(), plain.storage.lastSamples());
  assert.deepEqual(
    [...zipped.outcomes, ...plain.outcomes].map((outcome) => outcome.bodyBytes),
    Array.from({ length: 6 }, () => text.length),
  );
});

test("a gzip bomb fails the scrape and is never unpacked whole", async () => {
  // 64 MB of zeros in 64 KB; the limit here is 1 MB.
  const bomb = gzipSync(Buffer.alloc(64 << 20));
  const { url } = await serve((_, response) => {
    response.writeHead(200, { ...TEXT, "content-encoding": "gzip" });
    response.end(bomb);
  });
  const { storage, outcomes } = await scrape(url, { config: { extraScrapeMetrics: true } });
  assert.match(
    outcomes[0]!.error,
    /^body size limit exceeded: more than 1MB \(scrapeBodyMaxBytes\)$/,
  );
  assert.equal(storage.lastReport("up"), 0);
  assert.equal(storage.lastReport("scrape_body_size_bytes"), -1);
});

test("a body that is no gzip, or only the start of one, fails the scrape", async () => {
  const whole = gzipSync("a 1\n".repeat(1000));
  for (const body of [Buffer.from("a 1\n"), whole.subarray(0, whole.length / 2)]) {
    const { url } = await serve((_, response) => {
      response.writeHead(200, { ...TEXT, "content-encoding": "gzip" });
      response.end(body);
    });
    const { outcomes, storage } = await scrape(url);
    assert.match(outcomes[0]!.error, /^cannot unzip the body: /);
    assert.equal(storage.lastReport("up"), 0);
  }
});

test("an endless body is given up at the limit", async () => {
  let closed: () => void;
  const gone = new Promise<void>((resolve) => {
    closed = resolve;
  });
  const { url } = await serve((_, response) => {
    response.writeHead(200, TEXT);
    const more = (): void => {
      while (response.write("a 1\n".repeat(1000)));
    };
    response.on("drain", more);
    response.on("close", () => closed());
    more();
  });
  const { outcomes } = await scrape(url, { config: { bodySizeLimit: 100_000 } });
  assert.equal(outcomes[0]!.error, "body size limit exceeded");
  await gone;
});

test("a target that dies in mid-body is down, and none of that body's samples are stored", async () => {
  let scrapes = 0;
  const { url } = await serve((_, response) => {
    response.writeHead(200, TEXT);
    if (scrapes++ === 0) response.end("a 1\nb 2\n");
    else
      response.write("a 3\nb 4\n", () => {
        response.socket!.destroy();
      });
  });
  const { storage, outcomes } = await scrape(url, { times: 2 });
  assert.notEqual(outcomes[1]!.error, "");
  assert.equal(storage.lastReport("up"), 0);
  assert.deepEqual(storage.lastSamples(), [
    '{__name__="a", instance="i", job="job"} stale',
    '{__name__="b", instance="i", job="job"} stale',
  ]);
});

test("a target that is too slow, at its head or in its body, is down at the deadline", async () => {
  const { url } = await serve((request, response) => {
    if (request.url === "/metrics") return;
    response.writeHead(200, TEXT);
    response.write("a 1\n");
  });
  for (const slow of [url, `${url}/body`]) {
    const { outcomes } = await scrape(slow, { timeoutMs: 100 });
    assert.match(outcomes[0]!.error, /context deadline exceeded|deadline/);
  }
});

test("nobody listening", async () => {
  const { url, server } = await serve(() => {});
  await new Promise<void>((resolve) => {
    server.close(() => resolve());
  });
  const { storage, outcomes } = await scrape(url);
  assert.match(outcomes[0]!.error, /connection refused/);
  assert.equal(storage.lastReport("up"), 0);
});

test("strange labels come through from the wire to the storage", async () => {
  const long = "é".repeat(32_768);
  const body = `a{__proto__="x",constructor="y"} 1\n{"smile 😀","k😀"="v😀\\n"} 2\nb{long="${long}"} 3\n`;
  const { url } = await serve((_, response) => {
    response.writeHead(200, TEXT);
    // Split in the middle of a character.
    response.write(Buffer.from(body).subarray(0, 52), () => {
      response.end(Buffer.from(body).subarray(52));
    });
  });
  const { storage } = await scrape(url, { times: 2 });
  assert.deepEqual(storage.lastSamples(), [
    '{__name__="a", __proto__="x", constructor="y", instance="i", job="job"} 1',
    `{__name__="b", instance="i", job="job", long="${long}"} 3`,
    '{__name__="smile 😀", instance="i", job="job", "k😀"="v😀\\n"} 2',
  ]);
});

test("exploring counts what a scrape would keep, and stores nothing", async () => {
  const { url } = await serve((request, response) => {
    if (request.url !== "/metrics") {
      response.writeHead(500);
      response.end("no");
      return;
    }
    response.writeHead(200, TEXT);
    response.end('a 1\nb 2\nb{x="1"} 3\nc 4\n');
  });
  const rule = {
    sourceLabels: ["__name__"],
    separator: ";",
    regex: compileAnchored("b"),
    modulus: 0,
    targetLabel: "",
    replacement: "$1",
    action: "drop",
  } as const;
  const options = { client: newClient(), signal: new AbortController().signal };
  const explore = (path: string, config: Partial<ScrapeConfig>): Promise<unknown> =>
    exploreTarget({ ...options, target: targetOf(path), scrapeConfig: scrapeConfig(config) });
  assert.deepEqual(await explore(url, { metricRelabelConfigs: [rule] }), {
    samplesScraped: 4,
    seriesPostRelabel: 2,
    bodyBytes: 23,
  });
  assert.deepEqual(await explore(url, { sampleLimit: 1, labelLimit: 1 }), {
    samplesScraped: 4,
    seriesPostRelabel: 4,
    bodyBytes: 23,
  });
  await assert.rejects(explore(`${url}/x`, {}), { message: /server returned HTTP status 500/ });
  await assert.rejects(explore(url, { bodySizeLimit: 10 }), {
    message: "body size limit exceeded",
  });
});
