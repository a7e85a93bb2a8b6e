import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32c } from "../base/crc32c.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { ByteCursor, uint32At } from "../index/byte-cursor.ts";
import { FileWriter } from "../index/file-writer.ts";

/** A deleted stretch of a series, both ends inclusive, ms. */
export interface Interval {
  readonly minTime: number;
  readonly maxTime: number;
}

/** What was deleted from a block: by series ref, intervals in order that do not touch. Format: docs/format/block.md. */
export type Tombstones = ReadonlyMap<number, readonly Interval[]>;

export const TOMBSTONES_FILE = "tombstones";
const MAGIC = 0x0130ba30;
const VERSION = 1;
const HEADER_BYTES = 5;

/** Reads the tombstones of the block in `folder`; a block without the file has none. */
export async function readTombstones(folder: string): Promise<Tombstones> {
  const path = join(folder, TOMBSTONES_FILE);
  try {
    return parseTombstones(await readFile(path), path);
  } catch (error) {
    if (error instanceof AppError) throw error;
    if (systemCode(error) === "ENOENT") return new Map();
    throw new AppError("unavailable", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

export function parseTombstones(bytes: Uint8Array, path: string): Tombstones {
  const cursor = new ByteCursor(bytes, path);
  if (cursor.u32() !== MAGIC) throw cursor.corrupt("these are no tombstones: wrong magic number");
  const version = cursor.u8();
  if (version !== VERSION) throw cursor.corrupt(`unknown version ${version}`);
  const end = bytes.length - 4;
  if (end < HEADER_BYTES) throw cursor.short();
  if (crc32c(bytes, HEADER_BYTES, end) !== uint32At(bytes, end))
    throw cursor.corrupt(`wrong checksum at offset ${end}`);
  cursor.reset(bytes, HEADER_BYTES, end);
  const found = new Map<number, Interval[]>();
  while (cursor.at < end) {
    const ref = cursor.uvarint();
    const interval = { minTime: cursor.varint(), maxTime: cursor.varint() };
    found.set(ref, addInterval(found.get(ref) ?? [], interval));
  }
  return found;
}

/** Writes a new tombstones file at `path`; it is on disk when it resolves. */
export async function writeTombstones(path: string, tombstones: Tombstones): Promise<void> {
  const out = await FileWriter.create(path);
  try {
    out.putU32(MAGIC);
    out.putU8(VERSION);
    let from = out.position;
    let checksum = 0;
    for (const ref of [...tombstones.keys()].sort((a, b) => a - b))
      for (const { minTime, maxTime } of tombstones.get(ref)!) {
        out.putUvarint(ref);
        out.putVarint(minTime);
        out.putVarint(maxTime);
        if (!out.isFull) continue;
        checksum = out.checksumFrom(from, checksum);
        await out.drain();
        from = out.position;
      }
    out.putU32(out.checksumFrom(from, checksum));
    await out.sync();
  } finally {
    await out.close();
  }
}

export function countTombstones(tombstones: Tombstones): number {
  let count = 0;
  for (const intervals of tombstones.values()) count += intervals.length;
  return count;
}

/** `intervals` (in order) with one more, joined with those it overlaps or touches. */
export function addInterval(intervals: readonly Interval[], added: Interval): Interval[] {
  const out: Interval[] = [];
  let { minTime, maxTime } = added;
  let placed = false;
  for (const one of intervals) {
    if (one.maxTime + 1 < minTime) out.push(one);
    else if (one.minTime - 1 > maxTime) {
      if (!placed) out.push({ minTime, maxTime });
      placed = true;
      out.push(one);
    } else {
      minTime = Math.min(minTime, one.minTime);
      maxTime = Math.max(maxTime, one.maxTime);
    }
  }
  if (!placed) out.push({ minTime, maxTime });
  return out;
}

/** How a chunk's time range lies to the deleted stretches. */
export function coverage(
  intervals: readonly Interval[],
  range: { minTimeMs: number; maxTimeMs: number },
): "none" | "part" | "all" {
  let touched = false;
  for (const { minTime, maxTime } of intervals) {
    if (minTime <= range.minTimeMs && maxTime >= range.maxTimeMs) return "all";
    if (minTime <= range.maxTimeMs && maxTime >= range.minTimeMs) touched = true;
  }
  return touched ? "part" : "none";
}

export function isDeleted(intervals: readonly Interval[], timeMs: number): boolean {
  return intervals.some(({ minTime, maxTime }) => minTime <= timeMs && timeMs <= maxTime);
}
