import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { seededRandom } from "../base/random.ts";
import { openBlock } from "./block.ts";
import { type ImportOptions, importOpenMetrics } from "./import-openmetrics.ts";
import { readSeries, samplesOf } from "./testing/block-fixture.ts";

const root = await mkdtemp(join(tmpdir(), "import-test-"));
after(() => rm(root, { recursive: true, force: true }));
let files = 0;

type Dump = Record<string, [timeMs: number, value: number][]>;

async function importText(
  text: string,
  options: Partial<ImportOptions> = {},
): Promise<{ blocks: Dump[]; parent: string }> {
  const parent = join(root, String(files++));
  const input = `${parent}.om`;
  await writeFile(input, text);
  const folders = await importOpenMetrics({
    input,
    parent,
    clock: systemClock,
    random: seededRandom(files),
    ...options,
  });
  const blocks: Dump[] = [];
  for (const folder of folders) {
    const block = await openBlock(folder);
    const dump: Dump = {};
    for (const series of (await readSeries(block, [])).series) {
      const { times, values } = samplesOf(series);
      dump[series.labels.toString()] = times.map((time, i) => [time, values[i]!]);
    }
    blocks.push(dump);
    await block.close();
  }
  return { blocks, parent };
}

describe("importOpenMetrics", () => {
  it("cuts blocks at even hours, with labels added", async () => {
    const text = [
      "# HELP a_total Anything.",
      "# TYPE a_total counter",
      'a_total{x="1"} 1 7199.999',
      'a_total{x="1"} 2 7200',
      'a_total{x="2"} NaN 20000',
      "# TYPE h histogram",
      'h_bucket{le="1"} 4 7200 # {trace="t"} 1',
      "# EOF\n",
    ]
      .join("\n")
      .replace("# TYPE a_total", "# TYPE a")
      .replace("# HELP a_total", "# HELP a");
    const { blocks } = await importText(text, { labels: { cluster: "eu" } });
    const a1 = '{__name__="a_total", cluster="eu", x="1"}';
    assert.deepEqual(blocks, [
      { [a1]: [[7_199_999, 1]] },
      { [a1]: [[7_200_000, 2]], '{__name__="h_bucket", cluster="eu", le="1.0"}': [[7_200_000, 4]] },
      { '{__name__="a_total", cluster="eu", x="2"}': [[20_000_000, Number.NaN]] },
    ]);
    const { blocks: long } = await importText(text, { maxBlockMs: 20 * 3_600_000 });
    assert.equal(long.length, 1);
  });

  it("gives the same blocks in small pieces and with little memory", async () => {
    const lines: string[] = [];
    for (let series = 0; series < 20; series++) {
      lines.push(`# TYPE m${series} histogram`, `# HELP m${series} Text with "quotes".`);
      for (let hour = 0; hour < 30; hour++)
        lines.push(`m${series}_bucket{le="${series}"} ${hour} ${hour * 3600}`);
    }
    const text = `${lines.join("\n")}\n# EOF\n`;
    const whole = await importText(text);
    assert.equal(whole.blocks.length, 15);
    const small = await importText(text, { pieceBytes: 50, bufferedSamples: 100 });
    assert.deepEqual(small.blocks, whole.blocks);
  });

  it("puts samples in order, takes the same one once, and refuses two values at one time", async () => {
    const { blocks } = await importText(
      '# TYPE g gauge\ng{a="1",b="2"} 3 20\ng{b="2",a="1"} 1 10\ng{a="1",b="2"} 3 20\n# EOF\n',
    );
    assert.deepEqual(blocks, [
      {
        '{__name__="g", a="1", b="2"}': [
          [10_000, 1],
          [20_000, 3],
        ],
      },
    ]);
    await assert.rejects(importText("# TYPE g gauge\ng 3 20\ng 1 20\n# EOF\n"), {
      message: "cannot import g: it has both 3 and 1 at 1970-01-01T00:00:20.000Z",
    });
  });

  it("keeps times far from 1970 exactly", async () => {
    const { blocks } = await importText("g 1 -4503599627369\ng 2 4503599627369.999\n# EOF\n");
    assert.deepEqual(blocks, [
      { '{__name__="g"}': [[-4_503_599_627_369_000, 1]] },
      { '{__name__="g"}': [[4_503_599_627_369_999, 2]] },
    ]);
  });

  it("says where a file is wrong, in whichever piece, and leaves no block behind", async () => {
    const good = "# TYPE g gauge\ng 3 20\n".concat("g 3 20\n".repeat(20));
    for (const [text, message] of [
      [`${good}g 3\n# EOF\n`, /\.om:23: expected timestamp for series g, got none.* seconds$/],
      [`${good}g x 1\n# EOF\n`, /\.om:23: /],
      [
        `${good}g 3 1.7e15\n# EOF\n`,
        /\.om:23: time 1700000000000000 of series g is not within 4\.5e12 s of 1970.*; it looks like microseconds: divide it by 1000000$/,
      ],
      [`${good}g 3 -1e30\n# EOF\n`, /\.om:23: time -1e\+30 .* times are in seconds$/],
      [good, /data does not end with # EOF/],
      [`${good}# EOF\n${good}# EOF\n`, /after # EOF/],
    ] as const)
      for (const pieceBytes of [30, 1 << 20])
        await assert.rejects(importText(text, { pieceBytes }), { message });
    const left = await Promise.all(
      Array.from({ length: files }, (_, i) => readdir(join(root, String(i))).catch(() => [])),
    );
    assert.deepEqual(
      left.flat().filter((name) => name.includes(".tmp")),
      [],
    );
  });
});
