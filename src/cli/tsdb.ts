import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { formatGeneral } from "../base/float.ts";
import { createLogger } from "../base/logger.ts";
import { analyzeBlock, type BlockAnalysis, type Ranked } from "../block/analyze.ts";
import { openBlock } from "../block/block.ts";
import { segmentNames } from "../block/chunk-files.ts";
import { type BlockMeta, readMeta } from "../block/meta.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import { verifyBlock } from "../block/verify.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { formatHistogram } from "../model/histogram-text.ts";
import { parseSelector } from "../promql/parser.ts";
import { mergeSelect } from "../storage/merge.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { blockFolders, ReadOnlyDatabase } from "../tsdb/read-only.ts";
import { binarySize, goDuration, goTime, table } from "./tsdb-text.ts";

const DEFAULT_FOLDER = "data/";
const ANALYZE_LIMIT = 20;
/** Lines are handed on in pieces of about this many characters. */
const OUTPUT_CHARACTERS = 64 * 1024;

/** Adds `tsdb list|analyze|dump|verify`: looks into a data folder, also one in use, without changing it. */
export function registerTsdb(program: Command): void {
  const tsdb = program.command("tsdb").description("look into a data folder and its blocks");
  tsdb
    .command("list")
    .description("list the blocks of a data folder")
    .argument("[path]", "data folder", DEFAULT_FOLDER)
    .option("-r, --human-readable", "print times and sizes for people")
    .option("--json", "print one JSON array")
    .action(async (path: string, flags: { humanReadable?: boolean; json?: boolean }) =>
      list(path, flags),
    );
  tsdb
    .command("analyze")
    .description("tell what makes a block large: churn, cardinality, most common labels")
    .argument("[path]", "data folder", DEFAULT_FOLDER)
    .argument("[block]", "ULID of the block; default is the newest")
    .option("--limit <n>", "how many items each list has", String(ANALYZE_LIMIT))
    .option("--match <selector>", "only series that match")
    .option("--json", "print one JSON object")
    .action(async (path: string, block: string | undefined, flags: AnalyzeFlags) =>
      analyze({ path, block }, flags),
    );
  tsdb
    .command("dump")
    .description("print every sample of a data folder")
    .argument("[path]", "data folder", DEFAULT_FOLDER)
    .option("--min-time <ms>", "oldest sample, in ms since 1970")
    .option("--max-time <ms>", "newest sample, in ms since 1970")
    .option("--match <selector...>", "only series that match; may be repeated")
    .option("--json", "print one JSON object per series and line")
    .action(async (path: string, flags: DumpFlags) => dump(path, flags));
  tsdb
    .command("verify")
    .description("check every byte of every block; exit code 1 when something is wrong")
    .argument("[path]", "data folder, or the folder of one block", DEFAULT_FOLDER)
    .option("--json", "print one JSON array")
    .action(async (path: string, flags: { json?: boolean }) => verify(path, flags));
}

interface AnalyzeFlags {
  readonly limit: string;
  readonly match?: string;
  readonly json?: boolean;
}

interface DumpFlags {
  readonly minTime?: string;
  readonly maxTime?: string;
  readonly match?: readonly string[];
  readonly json?: boolean;
}

async function list(
  path: string,
  flags: { humanReadable?: boolean; json?: boolean },
): Promise<void> {
  const found: { meta: BlockMeta; size: number }[] = [];
  for (const folder of await blockFolders(path))
    found.push({ meta: await readMeta(folder), size: await sizeOf(folder) });
  found.sort((a, b) => a.meta.minTime - b.meta.minTime);
  if (flags.json === true) {
    console.log(JSON.stringify(found.map(({ meta, size }) => ({ ...meta, size }))));
    return;
  }
  const time = (ms: number): string => (flags.humanReadable === true ? goTime(ms) : String(ms));
  const rows = found.map(({ meta, size }) => [
    meta.ulid,
    time(meta.minTime),
    time(meta.maxTime),
    goDuration(meta.maxTime - meta.minTime),
    String(meta.stats.numSamples ?? 0),
    String(meta.stats.numChunks ?? 0),
    String(meta.stats.numSeries ?? 0),
    flags.humanReadable === true ? binarySize(size) : String(size),
  ]);
  const heads =
    "BLOCK ULID,MIN TIME,MAX TIME,DURATION,NUM SAMPLES,NUM CHUNKS,NUM SERIES,SIZE".split(",");
  console.log(table([heads, ...rows]));
}

/** Bytes of a block's files. */
async function sizeOf(folder: string): Promise<number> {
  const segments = await segmentNames(folder);
  const files = ["index", "meta.json", "tombstones", ...segments.map((name) => `chunks/${name}`)];
  let size = 0;
  for (const name of files)
    size += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
  return size;
}

async function analyze(
  target: { path: string; block: string | undefined },
  flags: AnalyzeFlags,
): Promise<void> {
  const limit = Number(flags.limit);
  if (!Number.isInteger(limit) || limit < 1)
    throw new AppError("bad-data", `cannot analyze: --limit must be 1 or more, not ${flags.limit}`);
  const matchers = flags.match === undefined ? undefined : parseSelector(flags.match);
  const block = await openBlock(await chooseBlock(target));
  try {
    const analysis = await analyzeBlock(block, {
      limit,
      ...(matchers === undefined ? {} : { matchers }),
    });
    if (flags.json === true) console.log(JSON.stringify(analysis));
    else printAnalysis(analysis, flags.match);
  } finally {
    await block.close();
  }
}

async function chooseBlock({
  path,
  block,
}: {
  path: string;
  block: string | undefined;
}): Promise<string> {
  const folders = await blockFolders(path);
  const metas = await Promise.all(
    folders.map(async (folder) => ({ folder, meta: await readMeta(folder) })),
  );
  metas.sort((a, b) => a.meta.minTime - b.meta.minTime);
  const chosen = block === undefined ? metas.at(-1) : metas.find(({ meta }) => meta.ulid === block);
  if (chosen === undefined)
    throw new AppError(
      "not-found",
      block === undefined ? `no blocks found in ${path}` : `block ${block} not found in ${path}`,
    );
  return chosen.folder;
}

function printAnalysis(analysis: BlockAnalysis, match: string | undefined): void {
  const lines = [
    `Block ID: ${analysis.ulid}`,
    `Duration: ${goDuration(analysis.durationMs)}`,
    `Total Series: ${analysis.totalSeries}`,
  ];
  if (match !== undefined) lines.push(`Matcher: ${match}`);
  lines.push(`Label names: ${analysis.labelNameCount}`);
  if (match !== undefined) lines.push(`Matched series: ${analysis.matchedSeries}`);
  lines.push(
    `Postings (unique label pairs): ${analysis.pairCount}`,
    `Postings entries (total label pairs): ${analysis.pairEntryCount}`,
  );
  const add = (title: string, entries: readonly Ranked[]): void => {
    lines.push("", `${title}:`, ...entries.map(({ name, value }) => `${value} ${name}`));
  };
  add("Label pairs most involved in churning", analysis.churningPairs);
  add("Label names most involved in churning", analysis.churningNames);
  add("Most common label pairs", analysis.commonPairs);
  add("Label names with highest cumulative label value length", analysis.longestNames);
  add("Highest cardinality labels", analysis.widestNames);
  add("Highest cardinality metric names", analysis.widestMetrics);
  console.log(lines.join("\n"));
}

async function dump(path: string, flags: DumpFlags): Promise<void> {
  const range = {
    minTimeMs: timeOf("--min-time", flags.minTime, -Infinity),
    maxTimeMs: timeOf("--max-time", flags.maxTime, Infinity),
  };
  const selectors = (flags.match ?? []).map(parseSelector);
  const database = await ReadOnlyDatabase.open(path, {
    logger: createLogger({ level: "warn" }),
    clock: systemClock,
  });
  const out = new Output();
  try {
    const all = (selectors.length === 0 ? [[]] : selectors).map((matchers) =>
      database.select({ matchers, ...range }),
    );
    for await (const batch of mergeSelect(all)) {
      for (const warning of batch.warnings ?? []) console.error(warning);
      for (const { labels, chunks } of batch.series) {
        const samples = samplesOf(chunks, range);
        if (flags.json === true) {
          if (samples.length > 0) await out.line(JSON.stringify({ metric: labels, samples }));
          continue;
        }
        const text = labels.toString();
        for (const [timeMs, value] of samples) await out.line(`${text} ${value} ${timeMs}`);
      }
    }
    await out.flush();
  } finally {
    await database.close();
  }
}

function timeOf(flag: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback;
  const time = Number(text);
  if (!Number.isSafeInteger(time))
    throw new AppError("bad-data", `cannot dump: ${flag} must be whole milliseconds, not ${text}`);
  return time;
}

/** Times and printed values in the range, in order; of several at the same time the first. */
function samplesOf(
  chunks: readonly Chunk[],
  range: { minTimeMs: number; maxTimeMs: number },
): [timeMs: number, value: string][] {
  const samples: [number, string][] = [];
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

async function verify(path: string, flags: { json?: boolean }): Promise<void> {
  const isBlock = await stat(join(path, "meta.json")).then(
    () => true,
    () => false,
  );
  const folders = isBlock ? [path] : await blockFolders(path);
  const reports = [];
  for (const folder of folders) {
    const report = await verifyBlock(folder);
    reports.push(report);
    if (flags.json === true) continue;
    const { seriesCount, chunkCount, sampleCount, problems } = report;
    const state = problems.length === 0 ? "ok" : "damaged";
    console.log(
      `${folder}: ${state}, ${seriesCount} series, ${chunkCount} chunks, ${sampleCount} samples`,
    );
    for (const problem of problems) console.log(`  ${problem}`);
  }
  if (flags.json === true) console.log(JSON.stringify(reports));
  if (reports.some(({ problems }) => problems.length > 0)) process.exitCode = 1;
}
