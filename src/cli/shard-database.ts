import { registerReplayStatus } from "../api/replay-api.ts";
import { createHttpServer, parseListenAddress } from "../api/server.ts";
import { Registry } from "../base/metrics.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../tsdb/database.ts";
import type { ReplayProgress } from "../tsdb/replay.ts";
import { ReplayDisplay } from "./replay-display.ts";

/**
 * Opens a database. While it replays its log, the address that the shard is going to listen on answers 503, and how far
 * the replay has come, as does the terminal or the log; a port that the system is to choose nobody could ask.
 */
export async function openServedDatabase(
  options: Omit<DatabaseOptions, "onReplay">,
  listen: string,
): Promise<{ database: Database; replayed: () => ReplayProgress }> {
  const { logger, clock } = options;
  // A port that the system chooses is that of one of many shards, whose parent's terminal it is.
  const isChild = parseListenAddress(listen).port === 0;
  const display = new ReplayDisplay({ stream: process.stderr, isShared: isChild, logger, clock });
  let replayed: ReplayProgress = { segmentCount: 0, segmentTotal: 0, byteCount: 0, byteTotal: 0 };
  const open = async (): Promise<Database> => {
    const onReplay = (progress: ReplayProgress): void => {
      replayed = progress;
      display.show(progress);
    };
    try {
      return await openDatabase({ ...options, onReplay });
    } finally {
      display.end();
    }
  };
  if (isChild) return { database: await open(), replayed: () => replayed };
  const http = createHttpServer({
    listen,
    logger,
    registry: new Registry(),
    ready: () => false,
  });
  registerReplayStatus(http.app, () => replayed);
  await http.start();
  try {
    return { database: await open(), replayed: () => replayed };
  } finally {
    await http.stop();
  }
}
