import { AppError } from "../base/errors.ts";
import { createMatcher, type Matcher, matchesEmpty, type MatchOperator } from "../model/matcher.ts";
import { readMatcher } from "../proto/series-request.ts";
import { corrupt, ProtoReader } from "../proto/wire.ts";
import type { SelectHints } from "../storage/queryable.ts";
import { RESPONSE_SAMPLES, RESPONSE_STREAMED_CHUNKS } from "./read-answer.ts";

/** One query of a `prometheus.ReadRequest`. */
export interface ReadQuery {
  /** Inclusive, ms. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly matchers: readonly Matcher[];
  readonly hints: SelectHints | undefined;
}

export interface ReadRequest {
  readonly queries: readonly ReadQuery[];
  /** How it is to be answered: the first of the kinds asked for that there is. */
  readonly isStreamed: boolean;
}

const OPERATORS: readonly MatchOperator[] = ["=", "!=", "=~", "!~"];

/**
 * Reads a `prometheus.ReadRequest`. Throws `corrupt` for bytes that break the format, `bad-data` for a regular expression
 * that does not compile and for kinds of answers that nobody gives. Format: docs/format/remote.md.
 */
export function decodeReadRequest(bytes: Uint8Array): ReadRequest {
  const queries: ReadQuery[] = [];
  const types: number[] = [];
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) queries.push(readQuery(reader.nested()));
    else if (key === 0x10) types.push(reader.uint32());
    else if (key === 0x12) {
      const packed = reader.nested();
      while (packed.more) types.push(packed.uint32());
    } else reader.skip(key);
  }
  const type = types.find((one) => one === RESPONSE_SAMPLES || one === RESPONSE_STREAMED_CHUNKS);
  if (type === undefined && types.length > 0)
    throw new AppError(
      "bad-data",
      `cannot answer a read request with response types ${types.join(", ")}: there are ${RESPONSE_SAMPLES} (samples) and ${RESPONSE_STREAMED_CHUNKS} (streamed XOR chunks)`,
    );
  return { queries, isStreamed: type === RESPONSE_STREAMED_CHUNKS };
}

function readQuery(reader: ProtoReader): ReadQuery {
  let minTimeMs = 0;
  let maxTimeMs = 0;
  let hints: SelectHints | undefined;
  const matchers: Matcher[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) minTimeMs = reader.int64();
    else if (key === 0x10) maxTimeMs = reader.int64();
    else if (key === 0x1a) {
      const { type, name, value } = readMatcher(reader.nested());
      const operator = OPERATORS[type];
      if (operator === undefined) throw corrupt(`there is no matcher of type ${type}`);
      matchers.push(createMatcher(name, operator, value));
    } else if (key === 0x22) hints = readHints(reader.nested());
    else reader.skip(key);
  }
  return { minTimeMs, maxTimeMs, matchers, hints };
}

function readHints(reader: ProtoReader): SelectHints {
  let stepMs = 0;
  let func = "";
  let by = false;
  let rangeMs = 0;
  const grouping: string[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) stepMs = reader.int64();
    else if (key === 0x12) func = reader.string();
    else if (key === 0x2a) grouping.push(reader.string());
    else if (key === 0x30) by = reader.bool();
    else if (key === 0x38) rangeMs = reader.int64();
    else reader.skip(key);
  }
  return { stepMs, func, rangeMs, grouping, by };
}

/**
 * What is left of `matchers` for the series as they are stored: as Prometheus, equality with an external label holds for
 * all of them. One matcher is always left.
 */
export function withoutExternalLabels(
  matchers: readonly Matcher[],
  external: Readonly<Record<string, string>>,
): readonly Matcher[] {
  const rest = matchers.filter(
    ({ name, operator, value }) =>
      operator !== "=" || !Object.hasOwn(external, name) || external[name] !== value,
  );
  return rest.every(matchesEmpty) ? [...rest, createMatcher("__name__", "!=", "")] : rest;
}
