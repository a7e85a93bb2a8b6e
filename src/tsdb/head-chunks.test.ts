import assert from "node:assert/strict";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { apiData, skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";
import { formatSampleValue } from "../base/float.ts";
import { createLogger, type Logger, silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { createMatcher } from "../model/matcher.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import { ENCODING_XOR } from "../storage/queryable.ts";
import type { Head } from "./head.ts";
import type { HeadOptions } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, samples, stoppedClock } from "./testing/head-fixture.ts";
import { histogramColumns, HistogramSource } from "./testing/histogram-fixture.ts";

const HOUR = 3_600_000;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (18 * HOUR));
const root = await mkdtemp(join(tmpdir(), "head-chunks-test-"));
after(() => rm(root, { recursive: true, force: true }));
const any = [createMatcher("__name__", "=~", ".+")];

function options(name: string, changes: Partial<HeadOptions> = {}): HeadOptions {
  return {
    folder: join(root, name),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 1e12,
    chunkMemoryBytes: 0,
    ...changes,
  };
}

/** Series of floats that do not compress, and of histograms: chunks are small, and many. */
async function fill(head: Head, size: { series: number; samples: number }): Promise<void> {
  const random = seededRandom(8);
  const refs = Array.from({ length: size.series }, (_, i) =>
    head.resolve(labels({ __name__: "m", i: String(i) })),
  );
  const source = new HistogramSource(random, { kind: "exponential", isFloat: true });
  for (let k = 0; k < size.samples; k++) {
    const t = START + k * 1000;
    const rows = refs.slice(1).map((ref) => [ref, t, random.next()] as const);
    const histogram = { ref: refs[0]!, timeMs: t, histogram: source.next(), isFloat: true };
    const result = await head.append({
      ...columns(rows),
      histograms: histogramColumns([histogram]),
    });
    assert.equal(result.appended, rows.length);
  }
}

/** All samples of the head as `series time value`; of a histogram its count. */
async function dump(head: Head): Promise<{ rows: string[]; warnings: string[] }> {
  const rows: string[] = [];
  const warnings: string[] = [];
  const request = { matchers: any, minTimeMs: -Infinity, maxTimeMs: Infinity };
  for await (const batch of head.select(request)) {
    warnings.push(...(batch.warnings ?? []));
    for (const { labels: own, chunks } of batch.series)
      for (const chunk of chunks)
        if (chunk.encoding === ENCODING_XOR)
          for (const [t, v] of samples({ labels: own, chunks: [chunk] }))
            rows.push(`${own.get("i")} ${t} ${formatSampleValue(v)}`);
        else {
          const { times, histograms } = decodeHistogramChunk(chunk);
          histograms.forEach((h, k) =>
            rows.push(`${own.get("i")} ${times[k]} ${formatSampleValue(h.count)}`),
          );
        }
  }
  return { rows: rows.sort(), warnings };
}

test("finished chunks leave the memory, are read from files, and stay after reopening", async () => {
  const settings = options("files");
  let head = await openHead(settings);
  await fill(head, { series: 60, samples: 4000 });
  const folder = join(settings.folder, "chunks_head");
  assert.ok((await readdir(folder)).length > 0, "there is more than a megabyte of them");
  const before = await dump(head);
  assert.equal(before.rows.length, 60 * 4000);
  const { chunkCount, sampleCount } = head.stats();
  assert.ok(chunkCount > 1500);
  await head.close();
  head = await openHead(settings);
  assert.deepEqual([head.stats().chunkCount, head.stats().sampleCount], [chunkCount, sampleCount]);
  assert.deepEqual(await dump(head), before);
  await head.truncateBefore(START + 4000 * 1000);
  assert.ok((await readdir(folder)).length <= 1);
  await head.close();
  if (skipWithoutParts() !== false) return;
  await rm(settings.folder, { recursive: true });
  head = await openHead(settings);
  await fill(head, { series: 60, samples: 4000 });
  await head.close();
  const server = (await startPrometheus({
    config: "",
    dataFolder: settings.folder,
    flags: ["--storage.tsdb.retention.time=100y", "--enable-feature=native-histograms"],
  }))!;
  try {
    const query = new URLSearchParams({ query: "m[2h]", time: String(START / 1000 + 4000) });
    const { result } = await apiData<{
      result: {
        metric: Record<string, string>;
        values?: [number, string][];
        histograms?: [number, { count: string }][];
      }[];
    }>(`${server.url}/api/v1/query?${query.toString()}`);
    const served = result.flatMap(({ metric, values = [], histograms = [] }) => [
      ...values.map(([t, v]) => `${metric["i"]} ${Math.round(t * 1000)} ${v}`),
      ...histograms.map(([t, h]) => `${metric["i"]} ${Math.round(t * 1000)} ${h.count}`),
    ]);
    assert.deepEqual(served.sort(), before.rows);
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    assert.match(metrics, /^prometheus_tsdb_mmap_chunk_corruptions_total 0$/m);
    assert.match(metrics, new RegExp(`^prometheus_tsdb_head_chunks ${chunkCount}$`, "m"));
  } finally {
    await server.stop();
  }
});

test("a file that is damaged under a running head is told, and its samples come back", async () => {
  const settings = options("running");
  let head = await openHead(settings);
  await fill(head, { series: 60, samples: 4000 });
  const before = await dump(head);
  const path = join(settings.folder, "chunks_head", "000001");
  const bytes = await readFile(path);
  bytes[bytes.length >> 1]! ^= 4;
  await writeFile(path, bytes);
  const damaged = await dump(head);
  assert.equal(damaged.warnings.length, 1);
  assert.match(damaged.warnings[0]!, /cannot read head chunk at \d+ of .*000001/);
  assert.ok(damaged.rows.length < before.rows.length && damaged.rows.length > 0);
  const known = new Set(before.rows);
  assert.ok(damaged.rows.every((row) => known.has(row)));
  await head.close();
  head = await openHead(settings);
  assert.deepEqual(await dump(head), before);
  await head.close();
});

/** A logger that keeps its lines of level warn and above. */
function keptLines(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => {
    if (!line.includes("the data folder is")) lines.push(line);
  };
  return { lines, logger: createLogger({ level: "warn", write }) };
}

test("no bit flip in logs or head chunks makes a wrong value, and each is told", async () => {
  const flips = Number(process.env["SHOAL_FLIPS"] ?? 150);
  const random = seededRandom(Number(process.env["SHOAL_SEED"] ?? 5));
  const source = options("source", { outOfOrderTimeWindowMs: HOUR });
  let head = await openHead(source);
  await fill(head, { series: 6, samples: 700 });
  const ref = head.resolve(labels({ __name__: "m", i: "3" }));
  for (let i = 0; i < 300; i++)
    await head.append(columns([[ref, START + i * 1000 + 500, random.next()]]));
  const before = await dump(head);
  await head.close();
  const known = new Set(before.rows);
  const folder = join(root, "flipped");
  let lossless = 0;
  for (let k = 0; k < flips; k++) {
    await rm(folder, { recursive: true, force: true });
    await cp(source.folder, folder, { recursive: true });
    const name = ["wal", "chunks_head", "wbl"][k % 3]!;
    const [file] = await readdir(join(folder, name));
    const path = join(folder, name, file!);
    const bytes = await readFile(path);
    const at = randomInt(random, bytes.length);
    const wasPadding = bytes.subarray(at).every((byte) => byte === 0);
    bytes[at]! ^= 1 << randomInt(random, 8);
    await writeFile(path, bytes);
    const { logger, lines } = keptLines();
    head = await openHead({ ...source, folder, logger });
    const found = await dump(head);
    await head.close();
    const context = `flip ${k} at ${at} of ${name}/${file}: ${lines.join("\n")}`;
    for (const row of found.rows) assert.ok(known.has(row), `${context}: ${row}`);
    assert.equal(new Set(found.rows).size, found.rows.length, `${context}: twice`);
    assert.ok(lines.length > 0 || wasPadding, context);
    if (found.rows.length === before.rows.length) lossless++;
    // What head chunks had is in the log.
    else assert.notEqual(name, "chunks_head", context);
  }
  assert.ok(lossless >= flips / 3);
});
