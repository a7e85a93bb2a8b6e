import { AppError, messageOf } from "../../base/errors.ts";
import { parseDuration } from "../../base/units.ts";
import { parseFloatText } from "../../base/float.ts";
import type { Matcher } from "../../model/matcher.ts";
import { parseSelector } from "../../promql/parser.ts";
import type { ReadOptions } from "./dependencies.ts";

/** Reading of the HTTP API's parameters, with Prometheus's forms and messages. Times and durations become ms. */

/** "Everything": the earliest and latest times that are exact as a number of ms. */
export const MIN_TIME_MS = Number.MIN_SAFE_INTEGER;
export const MAX_TIME_MS = Number.MAX_SAFE_INTEGER;
/** How clients spell the earliest and latest times that Go can express. */
export const MIN_TIME_TEXT = "-292273086-05-16T16:47:06Z";
export const MAX_TIME_TEXT = "292277025-08-18T07:12:54.999999999Z";

const RFC3339 = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(Z|[+-]\d{2}:\d{2})$/;

/** Unix seconds (rounded to ms) or RFC 3339; undefined when it is neither. */
export function parseTime(text: string): number | undefined {
  const seconds = parseNumber(text);
  if (seconds !== undefined && Number.isFinite(seconds)) return Math.round(seconds * 1000);
  if (text === MIN_TIME_TEXT) return MIN_TIME_MS;
  if (text === MAX_TIME_TEXT) return MAX_TIME_MS;
  const match = RFC3339.exec(text);
  if (match === null) return undefined;
  const whole = Date.parse(
    `${match[1]}-${match[2]}-${match[3]}T${match[4]}:${match[5]}:${match[6]}${match[8]}`,
  );
  // `Date` takes the 30th of February for a day in March.
  if (Number.isNaN(whole) || Number(match[3]) > daysOf(Number(match[1]), Number(match[2])))
    return undefined;
  return whole + Math.floor(Number(`0.${match[7] ?? "0"}`) * 1000);
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(year, month, 0)).getUTCDate();
}

/** A number as Go reads it, with underscores between digits. */
function parseNumber(text: string): number | undefined {
  return parseFloatText(text.replace(/(?<=\d)_(?=\d)/g, ""));
}

/** The longest duration that Go can express, ms. */
const MAX_DURATION_MS = 2 ** 63 / 1e6;

/** Float seconds or a Prometheus duration, in ms; throws `bad-data` when it is neither. */
function parseDurationParameter(text: string): number {
  const refusal = `cannot parse ${JSON.stringify(text)} to a valid duration`;
  const seconds = parseNumber(text);
  if (seconds !== undefined) {
    if (Math.abs(seconds) * 1000 > MAX_DURATION_MS)
      throw new AppError("bad-data", `${refusal}. It overflows int64`);
    // What Go makes of it.
    return Number.isNaN(seconds) ? -MAX_DURATION_MS : seconds * 1000;
  }
  try {
    return parseDuration(text);
  } catch (cause) {
    throw new AppError("bad-data", refusal, { cause });
  }
}

export function invalidParameter(name: string, reason: string): AppError {
  return new AppError("bad-data", `invalid parameter ${JSON.stringify(name)}: ${reason}`);
}

/** A time parameter, or `fallback` when it is absent or empty. */
export function timeParameter(parameters: URLSearchParams, name: string, fallback: number): number {
  const text = parameters.get(name) ?? "";
  if (text === "") return fallback;
  const time = parseTime(text);
  if (time === undefined)
    throw invalidParameter(
      name,
      `invalid time value for '${name}': cannot parse ${JSON.stringify(text)} to a valid timestamp`,
    );
  return time;
}

export function requiredTime(parameters: URLSearchParams, name: string): number {
  const text = parameters.get(name) ?? "";
  const time = parseTime(text);
  if (time === undefined)
    throw invalidParameter(name, `cannot parse ${JSON.stringify(text)} to a valid timestamp`);
  return time;
}

/** A duration in ms, or undefined when absent or empty. */
export function durationParameter(parameters: URLSearchParams, name: string): number | undefined {
  const text = parameters.get(name) ?? "";
  if (text === "") return undefined;
  try {
    return parseDurationParameter(text);
  } catch (error) {
    throw invalidParameter(name, messageOf(error));
  }
}

/** `lookback_delta` in ms, or undefined when absent or empty; Prometheus words its refusal in another way. */
export function lookbackParameter(parameters: URLSearchParams): number | undefined {
  const text = parameters.get("lookback_delta") ?? "";
  if (text === "") return undefined;
  try {
    return parseDurationParameter(text);
  } catch (error) {
    throw new AppError("bad-data", `error parsing lookback delta duration: ${messageOf(error)}`);
  }
}

/** A switch in one of Go's spellings; undefined when absent or empty. */
export function booleanParameter(parameters: URLSearchParams, name: string): boolean | undefined {
  const text = parameters.get(name) ?? "";
  if (text === "") return undefined;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw invalidParameter(
    name,
    `strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
  );
}

/** Thanos's parameters for replicas and stores: `dedup`, `replicaLabels[]`, `partial_response`, `storeMatch[]`. */
export function readOptions(parameters: URLSearchParams): ReadOptions {
  const dedup = booleanParameter(parameters, "dedup");
  const replicaLabels = parameters.getAll("replicaLabels[]").filter((name) => name !== "");
  const partialResponse = booleanParameter(parameters, "partial_response");
  const storeMatchers = parameters.getAll("storeMatch[]").map(storeSelector);
  return {
    ...(dedup !== undefined && { dedup }),
    ...(replicaLabels.length > 0 && { replicaLabels }),
    ...(partialResponse !== undefined && { partialResponse }),
    ...(storeMatchers.length > 0 && { storeMatchers }),
  };
}

function storeSelector(text: string): readonly Matcher[] {
  try {
    return parseSelector(text);
  } catch (error) {
    throw invalidParameter("storeMatch[]", messageOf(error));
  }
}

/** A limit of result entries; 0 means none. */
export function limitParameter(parameters: URLSearchParams): number {
  const text = parameters.get("limit") ?? "";
  if (text === "") return 0;
  const limit = /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
  if (limit === undefined)
    throw invalidParameter(
      "limit",
      `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  if (Math.abs(limit) >= 2 ** 63 && !isInt64(limit, text))
    throw invalidParameter(
      "limit",
      `strconv.Atoi: parsing ${JSON.stringify(text)}: value out of range`,
    );
  if (limit < 0) throw invalidParameter("limit", "limit must be non-negative");
  // As good as none.
  return Math.min(limit, MAX_LIMIT);
}

const MAX_LIMIT = 2 ** 52;

/** Of a whole number of 2^63 and more either way, which `value` may be for others next to it. */
function isInt64(value: number, text: string): boolean {
  if (Math.abs(value) > 2 ** 63) return false;
  const exact = BigInt(text);
  return BigInt.asIntN(64, exact) === exact;
}
