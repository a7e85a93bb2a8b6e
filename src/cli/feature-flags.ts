import type { Logger } from "../base/logger.ts";
import type { EngineOptions } from "../promql/engine.ts";
import type { ParserOptions } from "../promql/parser.ts";
import { type Flag, parsedFlag } from "./flags.ts";

/** What `--enable-feature` turns on, under Prometheus's names: one list for all commands, each of which uses its part. */

/** Of the language: what the parser lets through. */
const PARSER_FEATURES = {
  "promql-experimental-functions": "experimentalFunctions",
  "promql-extended-range-selectors": "extendedRangeSelectors",
  "promql-binop-fill-modifiers": "fillModifiers",
} as const satisfies Readonly<Record<string, keyof ParserOptions>>;

const ENGINE_FEATURES = {
  "promql-delayed-name-removal": "delayedNameRemoval",
  "use-start-timestamps": "startTimes",
} as const satisfies Readonly<Record<string, keyof EngineOptions>>;

/** Of shards. */
const SCRAPE_FEATURES = ["created-timestamp-zero-ingestion", "metadata-wal-records"] as const;

const OWN_STORAGE = "the storage is Shoal's own";

/** What a command line of Prometheus may have and Shoal need not be told, and why. */
const NEEDLESS_FEATURES = {
  "promql-duration-expr": "durations are expressions in any case",
  "promql-per-step-stats": "stats=all tells of each step in any case",
  "native-histograms": "scrape_native_histograms in the configuration says who is asked for them",
  "ooo-native-histograms": "storage.tsdb.out_of_order_time_window is of native histograms, too",
  "exemplar-storage": "exemplars are kept in any case",
  "concurrent-rule-eval": "Shoal evaluates no rules",
  "delayed-compaction": OWN_STORAGE,
  "fast-startup": OWN_STORAGE,
  "memory-snapshot-on-shutdown": OWN_STORAGE,
  "use-uncached-io": OWN_STORAGE,
  "histograms-st-encoding": OWN_STORAGE,
  "xor2-encoding": OWN_STORAGE,
} as const;

type ScrapeFeature = (typeof SCRAPE_FEATURES)[number];
type EngineFeature = keyof typeof ENGINE_FEATURES;
type QueryFeature = keyof typeof PARSER_FEATURES | EngineFeature;
export type Feature = ScrapeFeature | QueryFeature | keyof typeof NEEDLESS_FEATURES;

const QUERY_FEATURES = [...keysOf(PARSER_FEATURES), ...keysOf(ENGINE_FEATURES)];
const EFFECTIVE_FEATURES = [...SCRAPE_FEATURES, ...QUERY_FEATURES];
const FEATURES: readonly Feature[] = [...EFFECTIVE_FEATURES, ...keysOf(NEEDLESS_FEATURES)];

const FEATURE_FLAG: Flag<readonly Feature[]> = {
  ...parsedFlag<readonly Feature[]>(
    {
      name: "enable-feature",
      value: "names",
      help: `What is off by default in Prometheus, separated by commas: ${EFFECTIVE_FEATURES.join(", ")}. May be repeated. The first ${SCRAPE_FEATURES.length} are of Shoal's own shards; an engine prometheus has --prometheus.args.`,
    },
    { fallback: "", parse: parseFeatures, print: (features) => features.join(",") },
  ),
  isList: true,
};

export const FEATURE_FLAGS = { features: FEATURE_FLAG } as const;

/** Throws at a name that is none. */
export function parseFeatures(text: string): readonly Feature[] {
  const names = text.split(",").map((name) => name.trim());
  return names
    .filter((name) => name !== "")
    .map((name) => {
      const feature = FEATURES.find((known) => known === name);
      if (feature === undefined) throw new Error(`${name} is not one of ${FEATURES.join(", ")}`);
      return feature;
    });
}

/** What `features` are to the parser. */
export function parserOptions(features: readonly Feature[]): ParserOptions {
  return optionsOf(PARSER_FEATURES, features);
}

/** What they are to an engine, its parser included. */
export function featureOptions(
  features: readonly Feature[],
): Pick<EngineOptions, "parser" | (typeof ENGINE_FEATURES)[EngineFeature]> {
  return { ...optionsOf(ENGINE_FEATURES, features), parser: parserOptions(features) };
}

function optionsOf<K extends Feature, V extends string>(
  table: Readonly<Record<K, V>>,
  features: readonly Feature[],
): Partial<Record<V, boolean>> {
  const options: Partial<Record<V, boolean>> = {};
  for (const feature of keysOf(table))
    if (features.includes(feature)) options[table[feature]] = true;
  return options;
}

/** Those of queries, and those of shards, which are queried, too. */
export function featuresFor(
  role: "query" | "shard",
  features: readonly Feature[],
): readonly Feature[] {
  const wanted: readonly Feature[] = role === "query" ? QUERY_FEATURES : EFFECTIVE_FEATURES;
  return features.filter((feature) => wanted.includes(feature));
}

/** Says of each feature that it does nothing to `role`, and why; `up` is both roles. */
export function logIdleFeatures(
  features: readonly Feature[],
  { role, logger }: { role: "query" | "shard" | "up"; logger: Logger },
): void {
  for (const feature of new Set(features)) {
    const why = whyIdle(feature, role);
    if (why !== undefined) logger.info("--enable-feature does nothing here", { feature, why });
  }
}

function whyIdle(feature: Feature, role: "query" | "shard" | "up"): string | undefined {
  if (isKeyOf(NEEDLESS_FEATURES, feature)) return NEEDLESS_FEATURES[feature];
  if (role !== "query") return undefined;
  if (feature === "use-start-timestamps") return "stores do not tell when samples started";
  return isKeyOf(PARSER_FEATURES, feature) || isKeyOf(ENGINE_FEATURES, feature)
    ? undefined
    : "it is for shards";
}

function keysOf<K extends string>(table: Readonly<Record<K, unknown>>): readonly K[] {
  // The tables here have no further keys than their types say.
  return Object.keys(table) as K[];
}

function isKeyOf<K extends string>(table: Readonly<Record<K, unknown>>, key: string): key is K {
  return Object.hasOwn(table, key);
}
