import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { systemCode } from "../base/errors.ts";

/** The layout of segment files. Format: docs/format/wal.md. */
export const PAGE_BYTES = 32 * 1024;
/** Type (1), length (2), checksum (4). */
export const FRAGMENT_HEADER_BYTES = 7;

export const FRAGMENT_PADDING = 0;
export const FRAGMENT_FULL = 1;
export const FRAGMENT_FIRST = 2;
export const FRAGMENT_MIDDLE = 3;
export const FRAGMENT_LAST = 4;
export const FRAGMENT_TYPE_MASK = 7;
export const FLAG_SNAPPY = 8;
export const FLAG_ZSTD = 16;

/** No record is larger than this, compressed or not. */
export const RECORD_MAX_BYTES = 128 * 1024 * 1024;

export interface SegmentFile {
  readonly index: number;
  readonly path: string;
}

export function segmentName(index: number): string {
  return String(index).padStart(8, "0");
}

/** The segments of `folder` in ascending order; none when the folder does not exist. */
export async function listSegments(folder: string): Promise<SegmentFile[]> {
  const names = await listNames(folder);
  return names
    .filter((name) => /^\d+$/.test(name))
    .map((name) => ({ index: Number(name), path: join(folder, name) }))
    .sort((a, b) => a.index - b.index);
}

/** The checkpoints of `folder` in ascending order; `index` is the last segment each covers. */
export async function listCheckpoints(folder: string): Promise<SegmentFile[]> {
  const names = await listNames(folder);
  return names
    .filter((name) => /^checkpoint\.\d+$/.test(name))
    .map((name) => ({ index: Number(name.slice("checkpoint.".length)), path: join(folder, name) }))
    .sort((a, b) => a.index - b.index);
}

async function listNames(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
}
