import { AppError } from "../base/errors.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { selectParser } from "../exposition/accept.ts";
import { isProtobuf } from "../exposition/protobuf.ts";
import { Labels } from "../model/labels.ts";
import type { Target } from "../model/target.ts";
import type { BodyPool } from "../scrape/buffers.ts";
import { labelingFingerprint } from "../scrape/fingerprint.ts";
import { countMetrics, type MetricCount } from "../scrape/job-statistics.ts";
import { LineCache } from "../scrape/line-cache.ts";
import { type Body, sizeLimit, type Packing, unpackBody } from "../scrape/read-body.ts";
import { createLabeler, type Labeler } from "../scrape/sample-labels.ts";
import type { ScanRules } from "../scrape/scan.ts";
import type { ScanScratch } from "../scrape/scan-scratch.ts";
import { countFamilies } from "./protobuf-families.ts";

/** What one answer of a target holds. */
export interface BodyCount {
  /** Samples in the body. */
  readonly scraped: number;
  /** Those left after metric_relabel_configs. */
  readonly kept: number;
  /** Series that the body before did not have. */
  readonly added: number;
  /** Bytes, unpacked. */
  readonly bytes: number;
  /** Why Prometheus will refuse the body, as far as that can be told. */
  readonly error: AppError | undefined;
}

/** A body that was passed on; the buffer belongs to the counter from then on. */
export interface PassedBody extends Body {
  readonly contentType: string | undefined;
  readonly packing: Packing | undefined;
}

/** What all counters share. */
export interface CounterContext {
  readonly scratch: ScanScratch;
  readonly bodies: BodyPool;
  readonly now: () => number;
}

/** Any labels stand for "kept". */
const KEPT = Labels.EMPTY;

/**
 * Counts one target's series as Prometheus will store them: joined with the target's labels and relabelled. A body whose
 * lines are those of the last one but for their values is neither parsed nor relabelled (`LineCache`).
 */
export class BodyCounter {
  readonly #context: CounterContext;
  readonly #cache: LineCache;
  #config: ScrapeConfig;
  #target: Target;
  #rules: ScanRules;
  #expected = 0;
  /** Of the last body when that was protobuf. */
  #families: ReadonlyMap<string, MetricCount> | undefined;

  constructor(context: CounterContext, options: { config: ScrapeConfig; target: Target }) {
    this.#context = context;
    this.#cache = new LineCache(context.scratch);
    this.#config = options.config;
    this.#target = options.target;
    this.#rules = rulesOf(options.config, options.target);
  }

  reconfigure({ config, target }: { config: ScrapeConfig; target: Target }): void {
    if (config === this.#config && target === this.#target) return;
    if (
      labelingFingerprint(config) !== labelingFingerprint(this.#config) ||
      target.labels.key() !== this.#target.labels.key()
    )
      this.#cache.forget();
    this.#config = config;
    this.#target = target;
    this.#rules = rulesOf(config, target);
  }

  /** Never rejects. */
  async count(passed: PassedBody): Promise<BodyCount> {
    let plain: Body = passed;
    try {
      if (passed.packing !== undefined) plain = await this.#unpack(passed, passed.packing);
      this.#expected = plain.length;
      return this.#count(plain, passed.contentType);
    } catch (error) {
      this.#context.bodies.release(plain.bytes);
      return { ...NOTHING, bytes: plain.length, error: AppError.from(error, "bad-data") };
    }
  }

  /** Adds the last body's samples to `into`, metric by metric. */
  addMetrics(into: Map<string, MetricCount>): void {
    if (this.#families === undefined) {
      countMetrics(this.#cache, into);
      return;
    }
    for (const [name, { total, scraped }] of this.#families) {
      const known = into.get(name) ?? { total: 0, scraped: 0 };
      into.set(name, { total: known.total + total, scraped: known.scraped + scraped });
    }
  }

  async #unpack(passed: PassedBody, packing: Packing): Promise<Body> {
    const { bodies } = this.#context;
    const limit = sizeLimit({ limit: this.#config.bodySizeLimit });
    const plain = await unpackBody(passed, packing, {
      pool: bodies,
      expected: this.#expected,
      limit,
    });
    bodies.release(passed.bytes);
    return plain;
  }

  #countFamilies(body: Body): BodyCount {
    const found = countFamilies(body, { config: this.#config, labeler: this.#rules.labeler });
    this.#context.bodies.release(body.bytes);
    this.#families = found.metrics;
    return { ...found, added: 0, bytes: body.length, error: undefined };
  }

  #count(body: Body, contentType: string | undefined): BodyCount {
    const { bodies, now } = this.#context;
    if (isProtobuf(contentType)) return this.#countFamilies(body);
    this.#families = undefined;
    if (body.length === 0) {
      bodies.release(body.bytes);
      return NOTHING;
    }
    const format = selectParser(contentType, this.#config.fallbackScrapeProtocol);
    if (format === "protobuf") return this.#countFamilies(body);
    const scan = this.#cache.scan(body.bytes, body.length, {
      format,
      rules: this.#rules,
      nowMs: now(),
    });
    const { scraped, added, seriesAdded, error } = scan.result;
    const count = { scraped, kept: added, added: seriesAdded, bytes: body.length, error };
    if (error !== undefined) bodies.release(body.bytes);
    else {
      scan.resolve(() => 0);
      bodies.release(this.#cache.commit(scan));
    }
    return count;
  }
}

const NOTHING: BodyCount = { scraped: 0, kept: 0, added: 0, bytes: 0, error: undefined };

function rulesOf(config: ScrapeConfig, target: Target): ScanRules {
  const { metricRelabelConfigs, labelLimit, labelNameLengthLimit, labelValueLengthLimit } = config;
  const keepsAll =
    metricRelabelConfigs.length === 0 &&
    labelLimit + labelNameLengthLimit + labelValueLengthLimit === 0 &&
    config.metricNameValidationScheme !== "legacy";
  // Fast path: without rules every series stays, and no label needs to be read.
  const labeler: Labeler = keepsAll ? () => KEPT : createLabeler(config, target.labels);
  return {
    labeler,
    honorTimestamps: config.honorTimestamps,
    trackTimestampsStaleness: config.trackTimestampsStaleness,
    sampleLimit: config.sampleLimit,
  };
}
