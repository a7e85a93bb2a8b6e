import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { type Database, openDatabase } from "../../src/tsdb/database.ts";

const BLOCK_MS = 2 * 3_600_000;

/** A database whose time is `now`'s, with blocks of two hours that are not merged: cut when `maintain` is called. */
export function openTimedDatabase(folder: string, now: () => number): Promise<Database> {
  return openDatabase({
    folder,
    logger: createLogger({ level: "error" }),
    clock: { ...systemClock, now, after: () => () => {} },
    registry: new Registry(),
    retentionMs: 1e12,
    maxBlockMs: BLOCK_MS,
  });
}
