/** Random 64-bit patterns go the whole way, from a scraped body through log and block to the answers of remote read. */
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/processes.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import {
  delimited,
  double,
  enumeration,
  field,
  label,
  text,
} from "../exposition/protobuf.fixture.ts";
import { createMatcher } from "../model/matcher.ts";
import { decodeReadResponse } from "../remote/read-answer.ts";
import { ScrapeManager } from "../scrape/scrape-manager.ts";
import {
  configOf,
  FakeClient,
  FakeClock,
  scrapeConfig,
  settle,
  targetOf,
} from "../scrape/scrape.fixture.ts";
import type { Series } from "../storage/queryable.ts";
import { type Database, openDatabase } from "../tsdb/database.ts";
import { columns, labels, stoppedClock } from "../tsdb/testing/head-fixture.ts";
import { framesOf, NOW, samplesRequest, streamed, withReader } from "./remote-read.fixture.ts";

const COUNT = Number(process.env["SHOAL_VALUES"] ?? 100_000);
const SERIES = 2000;
const SCRAPES = COUNT / SERIES;
const SCRAPE_MS = 1000;
const MINUTE = 60_000;
const TYPE =
  "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited";
const matcher = createMatcher("__name__", "=", "bits");

/** A body of gauges, and where in it the value of each is. */
function bodyOf(): { body: Buffer; places: readonly number[] } {
  const head = [text(1, "bits"), enumeration(3, 1)];
  const metrics = Array.from({ length: SERIES }, (_, i) =>
    field(4, label("i", String(i)), field(2, double(1, 0))),
  );
  const body = Buffer.from(delimited(...head, ...metrics));
  const places: number[] = [];
  // From the end: each metric ends with its value.
  for (let end = body.length, i = SERIES - 1; i >= 0; end -= metrics[i]!.length, i--)
    places[i] = end - 8;
  return { body, places };
}

/** Of all values in the order they are scraped, each as two words; every second one is a NaN, of either sign. */
function randomWords(): Uint32Array<ArrayBuffer> {
  const random = seededRandom(41);
  const words = new Uint32Array(2 * COUNT);
  for (let i = 0; i < words.length; i++) words[i] = randomInt(random, 2 ** 32);
  for (let i = 1; i < words.length; i += 4) words[i] = (words[i]! | 0x7ff00000) >>> 0;
  return words;
}

test(`${COUNT} bit patterns stay as they are from scrape to log, block and remote read`, async () => {
  const words = randomWords();
  const clock = new FakeClock(NOW - 50 * MINUTE);
  const folder = temporaryFolder("value-bits");
  const open = (): Promise<Database> =>
    openDatabase({
      folder,
      clock: stoppedClock(NOW),
      logger: silentLogger,
      registry: new Registry(),
      retentionMs: 1e12,
      chunkRangeMs: 10 * MINUTE,
    });
  let database = await open();
  const times = await scrapeAll(database, clock, words);
  await database.close();
  // What is not in files of head chunks has to come from the log.
  await rm(join(folder, "chunks_head"), { recursive: true });
  database = await open();
  const check = async (where: string): Promise<void> => {
    await withReader({ queryable: database }, async (read) => {
      compare(`${where}, streamed`, await framesOf(await read(streamed(matcher))), times, words);
      const answer = await read(samplesRequest([matcher]));
      const series = decodeReadResponse(new Uint8Array(await answer.arrayBuffer()));
      compare(`${where}, samples`, series, times, words);
    });
  };
  await check("log");
  // One sample hours later, and what was before is cut to blocks.
  await database.append(columns([[database.resolve(labels({ a: "b" })), NOW + 300 * MINUTE, 1]]));
  await database.maintain();
  assert.ok(database.blocks().length > 0);
  assert.ok(database.head.stats().minTimeMs > times.at(-1)!);
  await check("block");
  await database.close();
  await rm(folder, { recursive: true });
});

/** Scrapes all values; the times of the scrapes. */
async function scrapeAll(
  database: Database,
  clock: FakeClock,
  words: Uint32Array<ArrayBuffer>,
): Promise<number[]> {
  const { body, places } = bodyOf();
  const bytes = Buffer.from(words.buffer);
  const times: number[] = [];
  const client = new FakeClient(() => {
    const scrape = times.length;
    times.push(clock.now());
    if (scrape < SCRAPES)
      for (let i = 0; i < SERIES; i++) {
        const from = 8 * (scrape * SERIES + i);
        bytes.copy(body, places[i], from, from + 8);
      }
    return { headers: { "content-type": TYPE }, body: Uint8Array.from(body) };
  });
  const manager = new ScrapeManager({
    appendable: database,
    logger: silentLogger,
    registry: new Registry(),
    userAgent: "Shoal/test",
    jitterSeedText: "host",
    clock,
    scrapeBodyMaxBytes: 1 << 20,
    createClient: () => client,
  });
  const url = "http://127.0.0.1:9100/metrics";
  manager.apply({
    config: configOf(
      scrapeConfig({ scrapeProtocols: ["PrometheusProto"], scrapeIntervalMs: SCRAPE_MS }),
    ),
    targets: [targetOf(url, { intervalMs: SCRAPE_MS })],
    handedOver: new Set(),
  });
  while (times.length < SCRAPES) {
    const [scraped, stored] = [times.length, database.head.stats().sampleCount];
    await clock.advance(SCRAPE_MS);
    assert.equal(times.length, scraped + 1);
    while (database.head.stats().sampleCount < stored + SERIES)
      await new Promise((resolve) => setImmediate(resolve));
    await settle();
  }
  await manager.stop();
  return times.slice(0, SCRAPES);
}

/** Holds what was read against what was scraped. */
function compare(
  where: string,
  found: readonly Series[],
  times: readonly number[],
  words: Uint32Array,
): void {
  const scrapeAt = new Map(times.map((time, scrape) => [time, scrape]));
  let count = 0;
  for (const { labels: own, chunks } of found)
    for (const { data } of chunks) {
      const samples = xorSampleCount(data);
      const into = {
        times: new Float64Array(samples),
        values: new Float64Array(samples),
        offset: 0,
      };
      decodeXor(data, into);
      const got = new Uint32Array(into.values.buffer);
      for (let k = 0; k < samples; k++) {
        const scrape = scrapeAt.get(into.times[k]!);
        // Stopped, a target is marked stale once.
        if (scrape === undefined) continue;
        const at = 2 * (scrape * SERIES + Number(own.get("i")));
        if (got[2 * k] !== words[at] || got[2 * k + 1] !== words[at + 1])
          assert.fail(`${where}: series ${own.get("i")} of scrape ${scrape}`);
        count++;
      }
    }
  assert.equal(count, COUNT, where);
}
