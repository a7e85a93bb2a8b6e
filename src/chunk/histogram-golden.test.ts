import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { isStaleHistogram } from "../model/histogram.ts";
import { apiHistogram } from "../model/histogram-text.ts";
import { decodeFloatHistogram } from "./float-histogram.ts";
import { decodeHistogram } from "./histogram.ts";
import { HistogramAppender } from "./histogram-appender.ts";

interface ExpectedSeries {
  readonly metric: Record<string, string>;
  readonly histograms?: readonly (readonly [time: number, histogram: unknown])[];
}

/** Encoding and bytes of every chunk in the block's segment files. */
function chunksOf(block: string): { encoding: number; data: Uint8Array }[] {
  const chunks: { encoding: number; data: Uint8Array }[] = [];
  for (const name of readdirSync(join(block, "chunks")).sort()) {
    const file = readFileSync(join(block, "chunks", name));
    let at = 8;
    while (at < file.length) {
      let size = 0;
      let shift = 1;
      let byte: number;
      do {
        byte = file[at++]!;
        size += (byte & 127) * shift;
        shift *= 128;
      } while (byte >= 128);
      chunks.push({ encoding: file[at]!, data: file.subarray(at + 1, at + 1 + size) });
      at += 1 + size + 4;
    }
  }
  return chunks;
}

function expectedSeries(): Map<string, Map<number, unknown>> {
  const text = readFileSync(sharedPath("golden/expected.json")!, "utf8");
  const parsed: { data: { result: ExpectedSeries[] } } = JSON.parse(text);
  return new Map(
    parsed.data.result
      .filter((series) => series.histograms !== undefined)
      .map((series) => [
        JSON.stringify(series.metric),
        new Map(series.histograms!.map(([time, h]) => [Math.round(time * 1000), h])),
      ]),
  );
}

test(
  "every histogram of Prometheus's block decodes and encodes exactly",
  { skip: skipWithout("golden/expected.json") },
  () => {
    const folder = sharedPath("golden")!;
    const block = readdirSync(folder).find((name) => name.startsWith("block-"))!;
    const expected = expectedSeries();
    const found = new Map<string, number>();
    let chunkCount = 0;
    for (const { encoding, data } of chunksOf(join(folder, block))) {
      if (encoding !== 2 && encoding !== 3) continue;
      chunkCount++;
      const { times, histograms } =
        encoding === 2 ? decodeHistogram(data) : decodeFloatHistogram(data);
      const live = histograms.flatMap((h, k) =>
        isStaleHistogram(h) ? [] : [{ timeMs: times[k]!, h: apiHistogram(h) }],
      );
      const owners = [...expected].filter(([, samples]) =>
        live.every(({ timeMs, h }) => JSON.stringify(samples.get(timeMs)) === JSON.stringify(h)),
      );
      assert.equal(
        owners.length,
        1,
        `chunk ${chunkCount} of encoding ${encoding} belongs to one series`,
      );
      const name = owners[0]![0];
      found.set(name, (found.get(name) ?? 0) + live.length);
      const again = HistogramAppender.open(encoding === 2 ? "integer" : "float", data);
      assert.deepEqual(
        Buffer.from(again.toBytes()),
        Buffer.from(data),
        `the bytes of a chunk of ${name}`,
      );
    }
    assert.ok(chunkCount >= expected.size);
    for (const [name, samples] of expected) assert.equal(found.get(name), samples.size, name);
  },
);
