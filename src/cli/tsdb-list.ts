import { stat } from "node:fs/promises";
import { join } from "node:path";
import { segmentNames } from "../block/chunk-files.ts";
import { type BlockMeta, readMeta } from "../block/meta.ts";
import { binarySize, goDuration, goTime, table } from "./tsdb-text.ts";

/** A block as it is listed. */
export interface BlockRow {
  readonly meta: BlockMeta;
  /** Bytes of its files. */
  readonly size: number;
}

export async function blockRow(folder: string): Promise<BlockRow> {
  return { meta: await readMeta(folder), size: await blockSize(folder) };
}

/** Bytes of a block's files, as far as they are there. */
export async function blockSize(folder: string): Promise<number> {
  const segments = await segmentNames(folder).catch(() => []);
  const files = ["index", "meta.json", "tombstones", ...segments.map((name) => `chunks/${name}`)];
  let size = 0;
  for (const name of files)
    size += (await stat(join(folder, name)).catch(() => undefined))?.size ?? 0;
  return size;
}

/** The blocks as promtool lists them. */
export function blockTable(rows: readonly BlockRow[], isForPeople: boolean): string {
  const time = (ms: number): string => (isForPeople ? goTime(ms) : String(ms));
  const cells = rows.map(({ meta, size }) => [
    meta.ulid,
    time(meta.minTime),
    time(meta.maxTime),
    goDuration(meta.maxTime - meta.minTime),
    String(meta.stats.numSamples ?? 0),
    String(meta.stats.numChunks ?? 0),
    String(meta.stats.numSeries ?? 0),
    isForPeople ? binarySize(size) : String(size),
  ]);
  const heads =
    "BLOCK ULID,MIN TIME,MAX TIME,DURATION,NUM SAMPLES,NUM CHUNKS,NUM SERIES,SIZE".split(",");
  return table([heads, ...cells]);
}
