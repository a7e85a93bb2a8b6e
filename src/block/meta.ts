import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { isUlid } from "./ulid.ts";

/** What `meta.json` says about a block. Format: docs/format/block.md. */
export interface BlockMeta {
  readonly ulid: string;
  /** ms, inclusive. */
  readonly minTime: number;
  /** ms, exclusive. */
  readonly maxTime: number;
  readonly stats: BlockStats;
  readonly compaction: BlockCompaction;
  /** 1; early blocks with 2 have the wrong version in their index. */
  readonly version: number;
  /** Keys of others (Thanos adds `thanos`), kept as they are. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export interface BlockStats {
  readonly numSamples?: number;
  readonly numFloatSamples?: number;
  readonly numHistogramSamples?: number;
  readonly numSeries?: number;
  readonly numChunks?: number;
  readonly numTombstones?: number;
}

export interface BlockCompaction {
  /** How often its samples were compacted: 1 from the head. */
  readonly level: number;
  /** The blocks cut from a head that are in this one, sorted. */
  readonly sources: readonly string[];
  /** All its samples were deleted. */
  readonly deletable?: boolean;
  /** What it was merged from: those are obsolete. */
  readonly parents?: readonly BlockParent[];
  /** A merge with this block failed; it is not planned again. */
  readonly failed?: boolean;
  readonly hints?: readonly string[];
}

export interface BlockParent {
  readonly ulid: string;
  readonly minTime: number;
  readonly maxTime: number;
}

/** Its samples came out of order; the block may lie within the time of others. */
export const HINT_OUT_OF_ORDER = "from-out-of-order";

export const META_FILE = "meta.json";

/** Reads the `meta.json` of the block in `folder`. Throws `not-found` without one and `corrupt` for a bad one. */
export async function readMeta(folder: string): Promise<BlockMeta> {
  const path = join(folder, META_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = systemCode(error) === "ENOENT" ? "not-found" : "unavailable";
    throw new AppError(code, `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  return parseMeta(text, path);
}

export function parseMeta(text: string, path: string): BlockMeta {
  const fail = (why: string): AppError => new AppError("corrupt", `cannot read ${path}: ${why}`);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw fail(messageOf(error));
  }
  if (!isRecord(parsed)) throw fail("it is no JSON object");
  const { ulid, minTime, maxTime, stats, compaction, version, ...extra } = parsed;
  if (typeof ulid !== "string" || !isUlid(ulid)) throw fail("ulid is none");
  if (version !== 1 && version !== 2) throw fail(`unexpected version ${String(version)}`);
  if (!isTime(minTime) || !isTime(maxTime) || minTime > maxTime)
    throw fail("minTime and maxTime are no time range");
  const steps = isRecord(compaction) ? compaction : {};
  return {
    ulid,
    minTime,
    maxTime,
    stats: numbersOf(isRecord(stats) ? stats : {}),
    compaction: {
      level: isTime(steps["level"]) ? steps["level"] : 0,
      sources: textsOf(steps["sources"]),
      ...(steps["deletable"] === true ? { deletable: true } : {}),
      ...(Array.isArray(steps["parents"]) ? { parents: parentsOf(steps["parents"]) } : {}),
      ...(steps["failed"] === true ? { failed: true } : {}),
      ...(Array.isArray(steps["hints"]) ? { hints: textsOf(steps["hints"]) } : {}),
    },
    version,
    ...(Object.keys(extra).length === 0 ? {} : { extra }),
  };
}

/** The text of `meta.json`, laid out as Prometheus does. */
export function formatMeta(meta: BlockMeta): string {
  const { extra, version, ...rest } = meta;
  return JSON.stringify({ ...rest, version, ...extra }, undefined, "\t");
}

/** Whether a block holds samples that came out of order. */
export function isOutOfOrder(meta: BlockMeta): boolean {
  return meta.compaction.hints?.includes(HINT_OUT_OF_ORDER) ?? false;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isTime(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value);
}

function numbersOf(record: Record<string, unknown>): BlockStats {
  return Object.fromEntries(
    Object.entries(record).filter(([, value]) => typeof value === "number"),
  );
}

function textsOf(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
}

function parentsOf(list: readonly unknown[]): BlockParent[] {
  const parents: BlockParent[] = [];
  for (const one of list)
    if (isRecord(one) && typeof one["ulid"] === "string")
      parents.push({
        ulid: one["ulid"],
        minTime: Number(one["minTime"] ?? 0),
        maxTime: Number(one["maxTime"] ?? 0),
      });
  return parents;
}
