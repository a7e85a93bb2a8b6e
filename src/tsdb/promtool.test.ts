import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { formatSampleValue } from "../base/float.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { createMatcher } from "../model/matcher.ts";
import type { Head } from "./head.ts";
import type { HeadOptions } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

/** The real promtool reads what we write, and cuts the same samples into the same chunks. */
const START = 1_700_006_400_000 - (1_700_006_400_000 % 14_400_000);
const HOUR = 3_600_000;
const root = await mkdtemp(join(tmpdir(), "promtool-test-"));
after(() => rm(root, { recursive: true, force: true }));
const skip = skipWithoutParts();
const any = [createMatcher("__name__", "=~", ".+")];

async function promtool(...args: string[]): Promise<string> {
  const options = { maxBuffer: 64 * 1024 * 1024 };
  return (await promisify(execFile)(partPath("promtool")!, args, options)).stdout;
}

function options(changes: Partial<HeadOptions>): HeadOptions {
  return {
    folder: join(root, "head"),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 2 * HOUR,
    ...changes,
  };
}

test("promtool dumps our log, checkpoint and compressed records included", { skip }, async () => {
  const clock = stoppedClock(START);
  const settings = options({ clock, walCompression: "zstd", walSegmentBytes: 128 * 1024 });
  let head = await openHead(settings);
  const random = seededRandom(1);
  const refsOf = (of: Head): number[] =>
    Array.from({ length: 20 }, (_, i) =>
      of.resolve(labels({ __name__: i === 0 ? "dotted.name" : "m", i: String(i), é: 'x "y"' })),
    );
  let refs = refsOf(head);
  await head.append(columns([[head.resolve(labels({ __name__: "gone" })), START, 1]]));
  for (let k = 1; k <= 1000; k++) {
    clock.nowMs = START + k * 15_000;
    const rows = refs.map(
      (ref, i) => [ref, clock.nowMs + randomInt(random, 9), i % 2 ? k : random.next()] as const,
    );
    assert.equal((await head.append(columns(rows))).appended, refs.length);
    if (k % 100 === 0) await head.truncate();
    if (k !== 500) continue;
    await head.close();
    head = await openHead(settings);
    refs = refsOf(head);
  }
  const minTimeMs = clock.nowMs - HOUR;
  const expected: string[] = [];
  for (const series of await read(head, any))
    for (const [t, v] of samples(series))
      if (t >= minTimeMs) expected.push(`${series.labels.toString()} ${formatSampleValue(v)} ${t}`);
  await head.close();
  const folder = join(root, "copy");
  await cp(join(settings.folder, "wal"), join(folder, "wal"), { recursive: true });
  assert.ok((await readdir(join(folder, "wal"))).some((name) => name.startsWith("checkpoint.")));
  const dumped = (await promtool("tsdb", "dump", `--min-time=${minTimeMs}`, folder)).trim();
  assert.ok(expected.length > 4000);
  assert.deepEqual(dumped.split("\n").sort(), expected.sort());
});

test("promtool cuts the same samples into the same chunks", { skip }, async () => {
  const random = seededRandom(3);
  const rows: [number, number, number][] = [];
  let text = "";
  // promtool's block writer has chunks within four hours.
  const chunkRangeMs = 4 * HOUR;
  const settings = options({ folder: join(root, "cuts"), retentionMs: 1e13, chunkRangeMs });
  const head = await openHead(settings);
  for (const [i, stepMs] of [1000, 5000, 15_000, 15_000, 30_000, 60_000, 7000].entries())
    for (let kind = 0; kind < 3; kind++) {
      const name = `m${i}_${kind}`;
      const ref = head.resolve(labels({ __name__: name }));
      text += `# TYPE ${name} gauge\n`;
      let t = START + randomInt(random, HOUR);
      for (let v = 0; t < START + 2 * HOUR; t += stepMs + randomInt(random, kind * 0.2 * stepMs)) {
        v += kind === 0 ? 0 : kind === 1 ? randomInt(random, 1e6) : random.next();
        rows.push([ref, t, v]);
        text += `${name} ${formatSampleValue(v)} ${(t / 1000).toFixed(3)}\n`;
        // Now and then a gap, which makes a prediction wrong.
        if (random.next() < 0.003) t += 40 * stepMs;
      }
    }
  await writeFile(join(root, "input"), `${text}# EOF\n`);
  await promtool(
    "tsdb",
    "create-blocks-from",
    "openmetrics",
    join(root, "input"),
    join(root, "out"),
  );
  rows.sort((a, b) => a[1] - b[1]);
  for (let from = 0; from < rows.length; from += 5000) {
    const part = rows.slice(from, from + 5000);
    assert.equal((await head.append(columns(part))).appended, part.length);
  }
  const [block] = await readdir(join(root, "out"));
  const file = join(root, "out", block!, "chunks", "000001");
  assert.ok(existsSync(file));
  const segment = await readFile(file);
  for (const series of await read(head, any))
    for (const [i, chunk] of series.chunks.entries())
      assert.ok(segment.includes(Buffer.from(chunk.data)), `${series.labels.toString()} ${i}`);
  const meta = JSON.parse(await readFile(join(root, "out", block!, "meta.json"), "utf8")) as {
    stats: { numChunks: number; numSamples: number };
  };
  const { chunkCount, sampleCount } = head.stats();
  assert.deepEqual([chunkCount, sampleCount], [meta.stats.numChunks, meta.stats.numSamples]);
  await head.close();
});
