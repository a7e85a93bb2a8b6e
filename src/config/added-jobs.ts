import { Document, isMap, isSeq, YAMLMap, type YAMLSeq } from "yaml";
import { AppError } from "../base/errors.ts";
import { parseConfig, type ParseOptions } from "./load.ts";
import { printGlobal } from "./print.ts";
import type { Config, ScrapeConfig } from "./types.ts";
import { keyOf, parseTree, printTree } from "./yaml-tree.ts";

/** Scrape jobs that come from elsewhere than prometheus.yml. */
export interface AddedJobs {
  /** Items of a `scrape_configs` list that begin at the left edge. */
  readonly text: string;
  /** The same without what may not be shown. */
  readonly shownText: string;
  /** The items as parsed under the `global` section of the configuration they are added to. */
  readonly configs: readonly ScrapeConfig[];
}

const KEY = "scrape_configs";
/** Stands before the jobs that come from elsewhere. */
const MARK = "# Jobs that come from elsewhere:\n";

/**
 * `base` with further jobs, in its text as well, which is what shards are given. Those that are called like one of its own
 * are left out, with what came with them.
 */
export function withJobs(base: Config, others: readonly AddedJobs[]): Config {
  const names = new Set(base.scrapeConfigs.map(({ jobName }) => jobName));
  const added = others.filter(({ configs }) => configs.every(({ jobName }) => !names.has(jobName)));
  if (added.every(({ text }) => text === "")) return base;
  const head = openList(base.source) + MARK;
  const join = (pick: (jobs: AddedJobs) => string): string => head + added.map(pick).join("");
  return {
    ...base,
    scrapeConfigs: [...base.scrapeConfigs, ...added.flatMap(({ configs }) => configs)],
    source: join(({ text }) => text),
    shownSource: join(({ shownText }) => shownText),
  };
}

/** The text with its list of jobs as the last thing in it, so that items may follow. */
function openList(source: string): string {
  const document = parseTree(source, "the configuration");
  document.contents ??= new YAMLMap();
  const root = document.contents;
  if (!isMap(root)) throw new AppError("bad-data", "the configuration is not a map at the top");
  const jobs = root.get(KEY, true);
  root.items = root.items.filter((pair) => keyOf(pair) !== KEY);
  // A map without keys would be printed in braces, which nothing can follow.
  const rest = root.items.length === 0 ? "" : blockText(printTree(document));
  const items = isSeq(jobs) && jobs.items.length > 0 ? listText(jobs) : "";
  return `${rest}${KEY}:\n${items}`;
}

/** By configuration, the added jobs that were read for it: their `global` section, and each by its text. */
const readBefore = new WeakMap<
  Config,
  { readonly global: string; readonly items: ReadonlyMap<string, ScrapeConfig> }
>();

/**
 * `parseConfig`, which reads only those of the added jobs that `known` has not: of thousands, few change at a time, and
 * reading all of them takes seconds.
 */
export function parseWithAdded(source: string, options: ParseOptions, known?: Config): Config {
  const at = source.indexOf(MARK);
  if (at === -1) return parseConfig(source, options);
  try {
    const base = parseConfig(source.slice(0, at), options);
    const global = printGlobal(base);
    const before = known && readBefore.get(known);
    const isUsable = before?.global === global && known?.baseFolder === options.baseFolder;
    const items = new Map<string, ScrapeConfig>();
    const names = new Set(base.scrapeConfigs.map(({ jobName }) => jobName));
    for (const item of source.slice(at + MARK.length).split(/^(?=- )/m)) {
      const config =
        (isUsable ? before.items.get(item) : undefined) ?? readItem(item, global, options);
      if (names.has(config.jobName)) throw new AppError("bad-data", "two jobs of one name");
      names.add(config.jobName);
      items.set(item, config);
    }
    const config = { ...base, scrapeConfigs: [...base.scrapeConfigs, ...items.values()], source };
    readBefore.set(config, { global, items });
    return config;
  } catch {
    // Read as a whole, it tells where it is wrong.
    return parseConfig(source, options);
  }
}

function readItem(item: string, global: string, options: ParseOptions): ScrapeConfig {
  const { scrapeConfigs } = parseConfig(`${global}${KEY}:\n${item}`, options);
  if (scrapeConfigs.length !== 1) throw new AppError("bad-data", "an item is not one job");
  return scrapeConfigs[0]!;
}

/** A list of jobs as `AddedJobs` has it; `what` names the text in messages. Throws `bad-data`. */
export function listItems(source: string, what: string): string {
  const { contents: list } = parseTree(source, what);
  if (list === null) return "";
  if (!isSeq(list)) throw new AppError("bad-data", `cannot read ${what}: it is not a list of jobs`);
  if (list.items.length === 0) return "";
  return listText(list);
}

/** The items of a list of jobs, at the left edge. */
function listText(list: YAMLSeq): string {
  list.flow = false;
  const document = new Document(new YAMLMap());
  document.set(KEY, list);
  const text = blockText(printTree(document, { indentSeq: false }));
  return text.slice(text.indexOf("\n") + 1);
}

function blockText(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}
