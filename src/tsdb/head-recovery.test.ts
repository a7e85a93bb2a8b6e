import assert from "node:assert/strict";
import {
  appendFile,
  cp,
  type FileHandle,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rm,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { renderQueryResult } from "../api/query/render.ts";
import { createLogger, type Logger, silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { createMatcher } from "../model/matcher.ts";
import { Engine } from "../promql/engine.ts";
import { ENCODING_XOR } from "../storage/queryable.ts";
import { readSegment } from "../wal/reader.ts";
import { type HeadOptions, WAL_SYNC_INTERVAL_MS } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

const START = 1_700_000_000_000;
const HOUR = 3_600_000;
const root = await mkdtemp(join(tmpdir(), "head-recovery-test-"));
after(() => rm(root, { recursive: true, force: true }));
let folderCount = 0;
const any = [createMatcher("__name__", "=~", ".+")];

function options(changes: Partial<HeadOptions> = {}): HeadOptions {
  return {
    folder: join(root, String(folderCount++)),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 24 * HOUR,
    ...changes,
  };
}

/** A logger that keeps its lines of level warn and above. */
function keptLines(): { logger: Logger; lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => {
    if (!line.includes("the data folder is")) lines.push(line);
  };
  return { lines, logger: createLogger({ level: "warn", write }) };
}

/** Fills a head with `count` scrapes of 50 series and closes it. */
async function fill(settings: HeadOptions, count: number): Promise<string> {
  const head = await openHead(settings);
  const refs = Array.from({ length: 50 }, (_, i) =>
    head.resolve(labels({ __name__: "m", i: String(i) })),
  );
  for (let k = 0; k < count; k++)
    await head.append(columns(refs.map((ref) => [ref, START + k * 1000, k] as const)));
  await head.close();
  return join(settings.folder, "wal", "00000000");
}

test("a torn end is cut off with one line, and never met again", async () => {
  const settings = options();
  const segment = await fill(settings, 20);
  const whole = await readFile(segment);
  const end = whole.findLastIndex((byte) => byte !== 0) + 1;
  await writeFile(segment, whole.subarray(0, end - 5));
  const { logger, lines } = keptLines();
  let head = await openHead({ ...settings, logger });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /cut off the torn end of the write-ahead log/);
  for (const series of await read(head, any))
    assert.deepEqual(
      samples(series).map(([, v]) => v),
      Array.from({ length: 19 }, (_, i) => i),
    );
  const ref = head.resolve(labels({ __name__: "m", i: "7" }));
  assert.equal((await head.append(columns([[ref, START + 60_000, 1]]))).appended, 1);
  await head.close();
  head = await openHead({ ...settings, logger });
  assert.equal(lines.length, 1);
  assert.equal(head.stats().sampleCount, 19 * 50 + 1);
  await head.close();
});

test("a crash may leave garbage or nothing at the end", async () => {
  for (const tail of [Buffer.from([0]), Buffer.alloc(40_000), Buffer.from("garbage garbage")]) {
    const settings = options();
    const segment = await fill(settings, 5);
    const { goodSize } = await readSegment(segment, () => {});
    await truncate(segment, goodSize);
    await appendFile(segment, tail);
    const head = await openHead(settings);
    assert.equal(head.stats().sampleCount, 250);
    await head.close();
  }
});

test("damage in the middle is set aside and reported; what can be read stays", async () => {
  const settings = options();
  const segment = await fill(settings, 200);
  const bytes = await readFile(segment);
  bytes[50_000]! ^= 16;
  await writeFile(segment, bytes);
  const { logger, lines } = keptLines();
  const registry = new Registry();
  let head = await openHead({ ...settings, logger, registry });
  assert.equal(lines.length, 1);
  assert.match(lines[0]!, /level=ERROR .*damaged: records are lost.* offset=\d+ reason="checksum/);
  assert.match(registry.expose(), /prometheus_tsdb_wal_corruptions_total 1\n/);
  const [aside] = await readdir(join(settings.folder, "quarantine"));
  assert.deepEqual(await readFile(join(settings.folder, "quarantine", aside!)), bytes);
  const rows = samples((await read(head, any))[0]!);
  assert.ok(rows.length >= 199 && rows.length < 201, `${rows.length}`);
  assert.deepEqual([rows[0]![1], rows.at(-1)![1]], [0, 199]);
  await head.close();
  head = await openHead({ ...settings, logger });
  assert.equal(lines.length, 1);
  assert.deepEqual(samples((await read(head, any))[0]!), rows);
  await head.close();
});

test("no flipped bit of the log makes a wrong sample or a crash", async () => {
  const settings = options();
  const segment = await fill(settings, 30);
  const whole = await readFile(segment);
  const used = whole.findLastIndex((byte) => byte !== 0) + 1;
  for (let bit = 3; bit < used * 8; bit += Math.floor((used * 8) / 40)) {
    const bytes = Buffer.from(whole);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    const changed = options();
    await mkdir(join(changed.folder, "wal"), { recursive: true });
    await writeFile(join(changed.folder, "wal", "00000000"), bytes);
    const head = await openHead(changed);
    for (const series of await read(head, any))
      for (const [t, v] of samples(series)) assert.equal(t, START + v * 1000);
    await head.close();
  }
});

test("a full disk refuses appends, changes nothing, and is over when there is space", async () => {
  const settings = options();
  const head = await openHead(settings);
  const ref = head.resolve(labels({ __name__: "m" }));
  await head.append(columns([[ref, START, 1]]));
  const late = head.resolve(labels({ __name__: "late" }));
  const handle = await open(join(settings.folder, "wal", "00000000"), "r");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const full = mock.method(prototype, "write", () =>
    Promise.reject(Object.assign(new Error("ENOSPC"), { code: "ENOSPC" })),
  );
  for (let i = 1; i <= 3; i++) {
    const rows = columns([
      [ref, START + i, i],
      [late, START + i, i],
    ]);
    await assert.rejects(head.append(rows), {
      code: "resource-exhausted",
      message: /the disk is full/,
    });
  }
  full.mock.restore();
  assert.equal(head.stats().sampleCount, 1);
  const rows = columns([
    [ref, START + 4, 4],
    [late, START + 4, 4],
  ]);
  assert.equal((await head.append(rows)).appended, 2);
  const before = (await read(head, any)).map(samples);
  await head.close();
  const again = await openHead(settings);
  assert.deepEqual((await read(again, any)).map(samples), before);
  assert.deepEqual(before, [
    [[START + 4, 4]],
    [
      [START, 1],
      [START + 4, 4],
    ],
  ]);
  await again.close();
});

test("appends of one turn share one write", async () => {
  const head = await openHead(options());
  const refs = Array.from({ length: 20 }, (_, i) =>
    head.resolve(labels({ __name__: "m", i: String(i) })),
  );
  const handle = await open(join(root, "some"), "w");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const writes = mock.method(prototype, "write");
  const results = await Promise.all(refs.map((ref) => head.append(columns([[ref, START, 1]]))));
  assert.equal(writes.mock.callCount(), 1);
  writes.mock.restore();
  assert.ok(results.every((result) => result.appended === 1));
  await head.close();
});

test("the log is forced to the disk before an append resolves, or from time to time", async () => {
  const some = await open(join(root, "synced"), "w");
  const prototype = Object.getPrototypeOf(some) as FileHandle;
  await some.close();
  for (const walSync of ["none", "interval", "commit"] as const) {
    let tick = (): void => {};
    const clock = {
      ...stoppedClock(START),
      after: (delayMs: number, act: () => void) => {
        if (delayMs === WAL_SYNC_INTERVAL_MS) tick = act;
        return () => {};
      },
    };
    const head = await openHead(options({ walSync, clock }));
    const syncs = mock.method(prototype, "datasync");
    const ref = head.resolve(labels({ __name__: "m" }));
    await head.append(columns([[ref, START, 1]]));
    await head.append(columns([[ref, START + 1, 1]]));
    assert.equal(syncs.mock.callCount(), walSync === "commit" ? 2 : 0);
    tick();
    assert.equal(syncs.mock.callCount(), { none: 0, interval: 1, commit: 2 }[walSync]);
    syncs.mock.restore();
    await head.close();
  }
});

interface Matrix {
  readonly data: { readonly result: readonly { readonly metric: Record<string, string> }[] };
}

const golden = "golden/wal/00000000";

test("a real Prometheus's log replays to its answers", { skip: skipWithout(golden) }, async () => {
  const settings = options({ retentionMs: 1e13 });
  await cp(join(sharedPath("golden")!, "wal"), join(settings.folder, "wal"), { recursive: true });
  const head = await openHead(settings);
  const text = await readFile(join(sharedPath("golden")!, "expected.json"), "utf8");
  const expected = JSON.parse(text) as Matrix;
  const block = join(sharedPath("golden")!, "block-01M7XGBQ4WVPNEYM4RR5MTCJ96");
  const segment = await readFile(join(block, "chunks", "000001"));
  // Prometheus cut its block from the same log: its chunks, of floats and of histograms, have the same bytes. Only of the
  // chunk that was open it forgets, by writing it anew, whether the counter was reset before it.
  for (const { chunks } of await read(head, any))
    for (const { encoding, data } of chunks) {
      const isOpen = encoding !== ENCODING_XOR && data === chunks.at(-1)!.data;
      assert.ok(segment.includes(Buffer.from(isOpen ? data.subarray(3) : data)));
    }
  const at = { query: '{__name__=~".+"}[1d]', timeMs: 1_700_010_000_000 };
  const result = await new Engine().instant(head, at);
  const body = Buffer.concat([...renderQueryResult(result, { limit: 0, stats: false })]);
  const found = (JSON.parse(body.toString()) as Matrix).data.result;
  const byName = ({ metric }: { metric: Record<string, string> }): string => labels(metric).key();
  const order = (a: Matrix["data"]["result"]): unknown =>
    a.toSorted((x, y) => (byName(x) < byName(y) ? -1 : 1));
  assert.equal(found.length, 12);
  assert.deepEqual(order(found), order(expected.data.result));
  await head.close();
});
