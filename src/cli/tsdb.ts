import { stat } from "node:fs/promises";
import { join } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { AppError, messageOf } from "../base/errors.ts";
import { parseDuration } from "../base/units.ts";
import { analyzeChunks } from "../block/analyze-chunks.ts";
import { analyzeBlock, type BlockAnalysis, type Ranked } from "../block/analyze.ts";
import { openBlock } from "../block/block.ts";
import { blockRange } from "../block/import-openmetrics.ts";
import { readMeta } from "../block/meta.ts";
import { verifyBlock } from "../block/verify.ts";
import type { Matcher } from "../model/matcher.ts";
import { parseSelector } from "../promql/parser.ts";
import { blockFolders, unlessDamaged } from "../tsdb/read-only.ts";
import { type BenchWriteFlags, benchWrite } from "./tsdb-bench.ts";
import { ProgressBar } from "./progress-bar.ts";
import { chunkAnalysisText } from "./tsdb-chunks-text.ts";
import { damageTeller } from "./tsdb-damage.ts";
import { type DumpFlags, dump, dumpOpenMetrics } from "./tsdb-dump.ts";
import { createBlocks, type CreateBlocksFlags, parseLabel } from "./tsdb-import.ts";
import { blockRow, blockSize, blockTable } from "./tsdb-list.ts";
import { goDuration } from "./tsdb-text.ts";

const DEFAULT_FOLDER = "data/";
const ANALYZE_LIMIT = 20;
/** Adds `tsdb …`, promtool's tools: all but `create-blocks-from` and `bench` look into a data folder, also one in use, without changing it. */
export function registerTsdb(program: Command): void {
  const tsdb = program
    .command("tsdb")
    .description("look into a data folder and its blocks, and make blocks");
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
    .option("--limit <n>", "how many items each list has", checked(wholeNumber), ANALYZE_LIMIT)
    .option("--match <selector>", "only series that match", checked(selector))
    .option("--extended", "also how many samples, bytes and buckets chunks have")
    .option("--json", "print one JSON object")
    .action(async (path: string, block: string | undefined, flags: AnalyzeFlags) =>
      analyze({ path, block }, flags),
    );
  tsdb
    .command("dump")
    .description("print every sample of a data folder")
    .argument("[path]", "data folder", DEFAULT_FOLDER)
    .option("--min-time <ms>", "oldest sample, in ms since 1970", checked(time))
    .option("--max-time <ms>", "newest sample, in ms since 1970", checked(time))
    .option("--match <selector...>", "only series that match; may be repeated", each(selector))
    .option("--json", "print one JSON object per series and line")
    .action(async (path: string, flags: DumpFlags) => dump(path, flags));
  tsdb
    .command("dump-openmetrics")
    .description("print every float sample of a data folder as OpenMetrics, for create-blocks-from")
    .argument("[path]", "data folder", DEFAULT_FOLDER)
    .option("--min-time <ms>", "oldest sample, in ms since 1970", checked(time))
    .option("--max-time <ms>", "newest sample, in ms since 1970", checked(time))
    .option("--match <selector...>", "only series that match; may be repeated", each(selector))
    .option("--json", "print one JSON object per series and line")
    .action(async (path: string, flags: DumpFlags) => dumpOpenMetrics(path, flags));
  tsdb
    .command("create-blocks-from")
    .description("make blocks of samples in another format")
    .command("openmetrics")
    .description("make blocks of an OpenMetrics file whose samples all have times")
    .argument("<input>", "OpenMetrics file")
    .argument("[output]", "data folder the blocks are put in", DEFAULT_FOLDER)
    .option("--label <name=value>", "set on every series; may be repeated", each(parseLabel))
    .option(
      "--max-block-duration <duration>",
      "the longest block; 2h, 6h, 18h, … are used (default: 2h)",
      checked((text) => blockRange(parseDuration(text))),
    )
    .option("-r, --human-readable", "print times and sizes for people")
    .option("-q, --quiet", "do not print the blocks")
    .option("--json", "print one JSON array of the blocks")
    .action(async (input: string, output: string, flags: CreateBlocksFlags) =>
      createBlocks({ input, output }, flags),
    );
  tsdb
    .command("bench")
    .description("measure a database")
    .command("write")
    .description("how fast a database takes samples")
    .argument("[file]", "series, a JSON object of labels a line; default is made-up ones")
    .option("--out <path>", "folder the data folder `storage` is made in", "benchout")
    .option(
      "--metrics <n>",
      "how many series are taken from the file, or made up",
      checked(wholeNumber),
      10_000,
    )
    .option("--scrapes <n>", "how often each gets a sample", checked(wholeNumber), 3000)
    .option("--json", "print one JSON object of figures")
    .action(async (file: string | undefined, flags: BenchWriteFlags) => benchWrite(file, flags));
  tsdb
    .command("verify")
    .description("check every byte of every block; exit code 1 when something is wrong")
    .argument("[path]", "data folder, or the folder of one block", DEFAULT_FOLDER)
    .option("--json", "print one JSON array")
    .action(async (path: string, flags: { json?: boolean }) => verify(path, flags));
}

interface Selector {
  readonly text: string;
  readonly matchers: readonly Matcher[];
}

interface AnalyzeFlags {
  readonly limit: number;
  readonly match?: Selector;
  readonly extended?: boolean;
  readonly json?: boolean;
}

/** A value of the command line; what is wrong with it is the command line's fault. */
function checked<T>(read: (text: string) => T): (text: string) => T {
  return (text) => {
    try {
      return read(text);
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  };
}

/** Of an option that may be repeated. */
function each<T>(read: (text: string) => T): (text: string, before?: readonly T[]) => readonly T[] {
  return (text, before = []) => [...before, checked(read)(text)];
}

function selector(text: string): Selector {
  return { text, matchers: parseSelector(text) };
}

function wholeNumber(text: string): number {
  const count = Number(text);
  if (!Number.isInteger(count) || count < 1)
    throw new AppError("bad-data", "It must be a whole number of 1 or more.");
  return count;
}

function time(text: string): number {
  const timeMs = text.trim() === "" ? Number.NaN : Number(text);
  if (!Number.isSafeInteger(timeMs))
    throw new AppError("bad-data", "It must be whole milliseconds since 1970.");
  return timeMs;
}

async function list(
  path: string,
  flags: { humanReadable?: boolean; json?: boolean },
): Promise<void> {
  const found = await readEach(await blockFolders(path), blockRow);
  found.sort((a, b) => a.meta.minTime - b.meta.minTime);
  if (flags.json === true) {
    console.log(JSON.stringify(found.map(({ meta, size }) => ({ ...meta, size }))));
    return;
  }
  console.log(blockTable(found, flags.humanReadable === true));
}

async function analyze(
  target: { path: string; block: string | undefined },
  flags: AnalyzeFlags,
): Promise<void> {
  const { limit, match, extended = false } = flags;
  const matchers = match === undefined ? {} : { matchers: match.matchers };
  const block = await openBlock(await chooseBlock(target));
  const bar = new ProgressBar(process.stderr);
  const onProgress = (share: number): void => bar.show(share);
  try {
    const analysis = await analyzeBlock(block, { limit, ...matchers, onProgress });
    const chunks = extended ? await analyzeChunks(block, { ...matchers, onProgress }) : undefined;
    bar.clear();
    if (flags.json === true) {
      console.log(JSON.stringify(chunks === undefined ? analysis : { ...analysis, chunks }));
      return;
    }
    printAnalysis(analysis, match?.text);
    if (chunks !== undefined) console.log(chunkAnalysisText(chunks));
  } finally {
    bar.clear();
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
  const metas = await readEach(folders, async (folder) => ({
    folder,
    meta: await readMeta(folder),
  }));
  metas.sort((a, b) => a.meta.minTime - b.meta.minTime);
  const chosen = block === undefined ? metas.at(-1) : metas.find(({ meta }) => meta.ulid === block);
  if (chosen === undefined)
    throw new AppError(
      "not-found",
      block === undefined ? `no blocks found in ${path}` : `block ${block} not found in ${path}`,
    );
  return chosen.folder;
}

/** What `read` gives of each block; damaged ones are told and left out. */
async function readEach<T>(
  folders: readonly string[],
  read: (folder: string) => Promise<T>,
): Promise<T[]> {
  const onDamage = damageTeller();
  const found = await Promise.all(
    folders.map((folder) => unlessDamaged(onDamage, () => read(folder))),
  );
  return found.filter((one) => one !== undefined);
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

async function verify(path: string, flags: { json?: boolean }): Promise<void> {
  const isBlock = await stat(join(path, "meta.json")).then(
    () => true,
    () => false,
  );
  const folders = isBlock ? [path] : await blockFolders(path);
  if (folders.length === 0) throw new AppError("not-found", `no blocks found in ${path}`);
  const reports = [];
  const sizes = await Promise.all(folders.map(blockSize));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let before = 0;
  const bar = new ProgressBar(process.stderr);
  for (const [i, folder] of folders.entries()) {
    const report = await verifyBlock(folder, (share) =>
      bar.show((before + share * sizes[i]!) / total),
    );
    before += sizes[i]!;
    bar.clear();
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
