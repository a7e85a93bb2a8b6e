import { registerReplayStatus } from "../api/replay-api.ts";
import { createHttpServer, parseListenAddress } from "../api/server.ts";
import { Registry } from "../base/metrics.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../tsdb/database.ts";
import type { ReplayProgress } from "../tsdb/replay.ts";

/**
 * Opens a database. While it replays its log, the address that the shard is going to listen on answers 503, and how far
 * the replay has come; a port that the system is to choose nobody could ask.
 */
export async function openServedDatabase(
  options: Omit<DatabaseOptions, "onReplay">,
  listen: string,
): Promise<{ database: Database; replayed: () => ReplayProgress }> {
  let replayed: ReplayProgress = { segmentCount: 0, segmentTotal: 0 };
  const onReplay = (progress: ReplayProgress): void => {
    replayed = progress;
  };
  if (parseListenAddress(listen).port === 0)
    return { database: await openDatabase({ ...options, onReplay }), replayed: () => replayed };
  const http = createHttpServer({
    listen,
    logger: options.logger,
    registry: new Registry(),
    ready: () => false,
  });
  registerReplayStatus(http.app, () => replayed);
  await http.start();
  try {
    return { database: await openDatabase({ ...options, onReplay }), replayed: () => replayed };
  } finally {
    await http.stop();
  }
}
