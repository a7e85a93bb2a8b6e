import { AppError } from "../base/errors.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { selectParser } from "../exposition/accept.ts";
import { rewriteText } from "../exposition/rewrite-text.ts";
import type { TextFormat } from "../exposition/entry-parser.ts";
import { type BesideText, readProtobuf } from "../exposition/protobuf.ts";
import {
  CUSTOM_BUCKETS_SCHEMA,
  EXPONENTIAL_SCHEMA_MAX,
  EXPONENTIAL_SCHEMA_MIN,
  type FloatHistogram,
} from "../model/histogram.ts";
import type { Target } from "../model/target.ts";
import { reduceResolution } from "../model/histogram-arithmetic.ts";

/** A body in one of the text formats, and what stands beside it when it came as protobuf. */
export interface Exposition {
  readonly format: TextFormat;
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly beside: BesideText | undefined;
  /** A histogram breaks a limit: the scrape fails once its samples are counted. */
  readonly failure?: AppError | undefined;
}

/** Throws when the target's Content-Type is none we read. */
export function readExposition(
  body: { readonly bytes: Uint8Array; readonly length: number },
  contentType: string | undefined,
  source: {
    readonly config: ScrapeConfig;
    readonly target: Target;
    readonly takeCreated: boolean;
  },
): Exposition {
  const { config, target, takeCreated } = source;
  const format = selectParser(contentType, config.fallbackScrapeProtocol);
  const classicHistograms = isOn(target, CLASSIC, config.alwaysScrapeClassicHistograms);
  const convertClassic = isOn(target, CONVERT, config.convertClassicHistogramsToNhcb);
  if (format === "protobuf") {
    const nativeHistograms = isOn(target, NATIVE, config.scrapeNativeHistograms);
    const options = { nativeHistograms, classicHistograms, convertClassic, takeCreated };
    const { bytes, length, ...beside } = readProtobuf(body, options);
    return { format: "text", bytes, length, ...limited(beside, config) };
  }
  const rewritten = rewriteText(body, format, {
    convertClassic,
    keepClassic: classicHistograms,
    takeCreated,
  });
  if (rewritten === undefined)
    return { format, bytes: body.bytes, length: body.length, beside: undefined };
  return { ...rewritten, format, ...limited(rewritten.beside, config) };
}

function limited(beside: BesideText, config: ScrapeConfig): Pick<Exposition, "beside" | "failure"> {
  const histograms = new Map(beside.histograms);
  let failure: AppError | undefined;
  for (const [line, sample] of beside.histograms) {
    const histogram = withinLimits(sample.histogram, config);
    if (histogram !== undefined) histograms.set(line, { ...sample, histogram });
    else failure ??= new AppError("resource-exhausted", "histogram bucket limit exceeded");
  }
  return { beside: { ...beside, histograms }, failure };
}

const NATIVE = "__scrape_native_histograms__";
const CLASSIC = "__always_scrape_classic_histograms__";
const CONVERT = "__convert_classic_histograms_to_nhcb__";

/** What relabelling has set for the target, else what its job says. */
function isOn(target: Target, name: string, fallback: boolean): boolean {
  const value = target.allLabels.get(name);
  return value === "" ? fallback : /^(?:1|t|T|TRUE|true|True)$/.test(value);
}

/**
 * Reduces the resolution as `native_histogram_min_bucket_factor` and `native_histogram_bucket_limit` ask for; undefined
 * when that is not enough.
 */
function withinLimits(histogram: FloatHistogram, config: ScrapeConfig): FloatHistogram | undefined {
  const { nativeHistogramBucketLimit: limit, nativeHistogramMinBucketFactor: factor } = config;
  let h = histogram;
  const highest = highestSchema(factor);
  if (h.schema !== CUSTOM_BUCKETS_SCHEMA && h.schema > highest)
    h = reduceResolution(h, highest) ?? h;
  if (limit === 0) return h;
  while (h.positiveBuckets.length + h.negativeBuckets.length > limit) {
    const canReduce = h.schema !== CUSTOM_BUCKETS_SCHEMA && h.schema > EXPONENTIAL_SCHEMA_MIN;
    const reduced = canReduce ? reduceResolution(h, h.schema - 1) : undefined;
    if (reduced === undefined) return undefined;
    h = reduced;
  }
  return h;
}

/** The highest schema whose buckets grow by `factor` at least. */
function highestSchema(factor: number): number {
  if (factor <= 1) return EXPONENTIAL_SCHEMA_MAX;
  const schema = -Math.floor(Math.log2(Math.log2(factor)));
  return Math.min(Math.max(schema, EXPONENTIAL_SCHEMA_MIN), EXPONENTIAL_SCHEMA_MAX);
}
