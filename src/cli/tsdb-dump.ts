import { systemClock } from "../base/clock.ts";
import { formatGeneral } from "../base/float.ts";
import { createLogger } from "../base/logger.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { formatHistogram } from "../model/histogram-text.ts";
import {
  isLegacyLabelName,
  isLegacyMetricName,
  type Labels,
  METRIC_NAME,
} from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { decodeHistogramChunk, isHistogram } from "../storage/chunk-encodings.ts";
import { mergeSelect } from "../storage/merge.ts";
import { type Chunk, ENCODING_XOR, type Series } from "../storage/queryable.ts";
import { ReadOnlyDatabase } from "../tsdb/read-only.ts";
import { ProgressBar } from "./progress-bar.ts";
import { damageTeller } from "./tsdb-damage.ts";

/** Lines are handed on in pieces of about this many characters. */
const OUTPUT_CHARACTERS = 64 * 1024;

export interface DumpFlags {
  /** ms. */
  readonly minTime?: number;
  readonly maxTime?: number;
  readonly match?: readonly { readonly matchers: readonly Matcher[] }[];
  readonly json?: boolean;
}

interface TimeRange {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** Prints every sample, one a line with its time in ms, or one JSON object per series and line. */
export async function dump(path: string, flags: DumpFlags): Promise<void> {
  await eachSeries(path, flags, async ({ labels, chunks }, range, out) => {
    const samples = samplesOf(chunks, range);
    if (flags.json === true) return printJson(labels, samples, out);
    const text = labels.toString();
    for (const [timeMs, value] of samples) await out.line(`${text} ${value} ${timeMs}`);
  });
}

/**
 * Prints every float sample as OpenMetrics. Names that need it are quoted, so that `create-blocks-from openmetrics` reads
 * them back, which it could not read from promtool's own command.
 */
export async function dumpOpenMetrics(path: string, flags: DumpFlags): Promise<void> {
  await eachSeries(path, flags, async ({ labels, chunks }, range, out) => {
    const floats = chunks.filter(({ encoding }) => !isHistogram(encoding));
    const samples = samplesOf(floats, range);
    if (flags.json === true) return printJson(labels, samples, out);
    const text = openMetricsSeries(labels);
    for (const [timeMs, value] of samples)
      await out.line(`${text} ${value} ${(timeMs / 1000).toFixed(3)}`);
  });
  if (flags.json !== true) console.log("# EOF");
}

async function printJson(
  labels: Labels,
  samples: readonly PrintedSample[],
  out: Output,
): Promise<void> {
  if (samples.length > 0) await out.line(JSON.stringify({ metric: labels, samples }));
}

function openMetricsSeries(labels: Labels): string {
  const pairs: string[] = [];
  const metric = labels.get(METRIC_NAME) ?? "";
  const isQuoted = metric !== "" && !isLegacyMetricName(metric);
  if (isQuoted) pairs.push(quote(metric));
  for (const [name, value] of labels)
    if (name !== METRIC_NAME)
      pairs.push(`${isLegacyLabelName(name) ? name : quote(name)}=${quote(value)}`);
  return `${isQuoted ? "" : metric}{${pairs.join(",")}}`;
}

function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n")}"`;
}

async function eachSeries(
  path: string,
  flags: DumpFlags,
  print: (series: Series, range: TimeRange, out: Output) => Promise<void>,
): Promise<void> {
  const range = { minTimeMs: flags.minTime ?? -Infinity, maxTimeMs: flags.maxTime ?? Infinity };
  const selectors = (flags.match ?? []).map(({ matchers }) => matchers);
  // Between lines on the same terminal a bar is none.
  const titles = process.stdout.isTTY ? [] : ["of the log replayed", "dumped"];
  const [replayBar, dumpBar] = titles.map((title) => new ProgressBar(process.stderr, title));
  const onDamage = damageTeller();
  const database = await ReadOnlyDatabase.open(path, {
    logger: createLogger({ level: "warn" }),
    clock: systemClock,
    onDamage: (message) => {
      dumpBar?.clear();
      onDamage(message);
    },
    onReplay: ({ byteCount, byteTotal }) => replayBar?.show(byteCount / Math.max(1, byteTotal)),
    onRead: (share) => dumpBar?.show(share),
  });
  replayBar?.clear();
  const out = new Output();
  try {
    // As with promtool, `{}` names nothing, and no selector at all means everything.
    const wanted = flags.match === undefined ? [[]] : selectors.filter(({ length }) => length > 0);
    const all = wanted.map((matchers) => database.select({ matchers, ...range }));
    for await (const batch of mergeSelect(all)) {
      for (const warning of batch.warnings ?? []) console.error(warning);
      for (const series of batch.series) await print(series, range, out);
    }
    await out.flush();
  } finally {
    dumpBar?.clear();
    await database.close();
  }
}

type PrintedSample = readonly [timeMs: number, value: string];

/** Times and printed values in the range, in order; of several at the same time the first. */
function samplesOf(chunks: readonly Chunk[], range: TimeRange): readonly PrintedSample[] {
  const samples: PrintedSample[] = [];
  let isSorted = true;
  const add = (timeMs: number, value: string): void => {
    if (timeMs < range.minTimeMs || timeMs > range.maxTimeMs) return;
    if (samples.length > 0 && timeMs <= samples.at(-1)![0]) isSorted = false;
    samples.push([timeMs, value]);
  };
  for (const chunk of chunks) {
    if (chunk.encoding === ENCODING_XOR) {
      const count = xorSampleCount(chunk.data);
      const into = { times: new Float64Array(count), values: new Float64Array(count), offset: 0 };
      decodeXor(chunk.data, into);
      for (let i = 0; i < count; i++) add(into.times[i]!, formatGeneral(into.values[i]!));
    } else {
      const { times, histograms } = decodeHistogramChunk(chunk);
      for (const [i, histogram] of histograms.entries()) add(times[i]!, formatHistogram(histogram));
    }
  }
  if (isSorted) return samples;
  samples.sort((a, b) => a[0] - b[0]);
  return samples.filter(([timeMs], i) => i === 0 || samples[i - 1]![0] !== timeMs);
}

/** Lines to stdout in large pieces, waiting while the reader is behind. */
class Output {
  #text = "";

  async line(text: string): Promise<void> {
    this.#text += `${text}\n`;
    if (this.#text.length >= OUTPUT_CHARACTERS) await this.flush();
  }

  async flush(): Promise<void> {
    const text = this.#text;
    this.#text = "";
    if (text === "") return;
    await new Promise<void>((resolve) => {
      process.stdout.write(text, () => resolve());
    });
  }
}
