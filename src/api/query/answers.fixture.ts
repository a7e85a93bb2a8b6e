/** Answers of the query API, of ours and of a real Prometheus 3.5, and how they differ. */
import { renderQueryResult } from "./render.ts";
import { AppError } from "../../base/errors.ts";
import { Labels } from "../../model/labels.ts";
import type { QueryResult } from "../../promql/result.ts";

/** Compensated sums differ from plain ones in their last digits. */
const TOLERANCE = 1e-9;

/** What only newer versions say. */
const NEWER_NOTES = /conflicting counter resets|mismatched custom buckets|sort is ineffective/;

/** Whether messages name the metric, and where they point, has changed since. */
function withoutPlace(note: string): string {
  return note.replace(/(?: for metric name "[^"]*")? \(\d+:\d+\)$/, "");
}

/** The API names the parameter in front; which of several duplicates comes first is a matter of order. */
export function comparable(message: string): string {
  return message
    .replace('invalid parameter "query": ', "")
    .replace(
      /(found duplicate series for the match group ).*( on the \w+ hand-side of the operation: ).*;/,
      "$1…$2…;",
    );
}

export interface ApiAnswer {
  status: string;
  errorType?: string;
  error?: string;
  data?: { resultType: string; result: unknown };
  warnings?: string[];
  infos?: string[];
}

/** An answer so that it can be compared: series in order of their labels; notes in order, without those that only newer versions know. */
export function normalize(answer: ApiAnswer): unknown[] {
  const told = [...(answer.warnings ?? []), ...(answer.infos ?? [])]
    .filter((note) => !NEWER_NOTES.test(note))
    .map(withoutPlace);
  const notes = [...new Set(told)].sort();
  if (answer.status !== "success") return [answer.errorType, comparable(answer.error ?? "")];
  const { resultType, result } = answer.data!;
  if (resultType !== "vector" && resultType !== "matrix") return [resultType, result, notes];
  const series = (result as { metric: Record<string, string> }[]).map((one) => ({
    key: Labels.fromObject(one.metric).toString(),
    ...one,
  }));
  series.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  return [resultType, series, notes];
}

/** The first place where two answers differ by more than rounding; undefined when there is none. */
export function differenceOf(ours: unknown, theirs: unknown, path = ""): string | undefined {
  if (Array.isArray(ours) && Array.isArray(theirs) && ours.length === theirs.length) {
    for (const [i, one] of ours.entries()) {
      const found = differenceOf(one, theirs[i], `${path}/${i}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (isObject(ours) && isObject(theirs)) {
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      const [one, other] = [ours[key], theirs[key]].map(key === "buckets" ? withoutEmpty : same);
      const found = differenceOf(one, other, `${path}/${key}`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (ours === theirs || isNear(ours, theirs)) return undefined;
  const show = (value: unknown): string => (JSON.stringify(value) ?? "nothing").slice(0, 500);
  return `${path}\n    Shoal:      ${show(ours)}\n    Prometheus: ${show(theirs)}`;
}

const same = (value: unknown): unknown => value;

/** A bucket that should be empty may hold what rounding left in it. */
function withoutEmpty(buckets: unknown): unknown {
  if (!Array.isArray(buckets)) return buckets;
  return buckets.filter((bucket: unknown[]) => !isNear(bucket[3], "0"));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isNear(ours: unknown, theirs: unknown): boolean {
  if (typeof ours !== "string" || typeof theirs !== "string") return false;
  const a = Number(ours);
  const b = Number(theirs);
  return Math.abs(a - b) <= TOLERANCE * Math.max(Math.abs(a), Math.abs(b), 1e-3);
}

/** What the API says to a query. */
export async function answerOf(evaluate: () => Promise<QueryResult>): Promise<ApiAnswer> {
  try {
    const pieces = renderQueryResult(await evaluate(), { limit: 0, stats: false });
    return JSON.parse(Buffer.concat([...pieces]).toString()) as ApiAnswer;
  } catch (thrown) {
    const { code, message } = AppError.from(thrown);
    const errorType = code === "bad-data" ? "bad_data" : code;
    return { status: "error", errorType, error: message };
  }
}
