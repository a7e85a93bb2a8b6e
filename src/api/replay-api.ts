import type { FastifyInstance } from "fastify";
import type { ReplayProgress } from "../tsdb/replay.ts";
import { envelope } from "./server.ts";

/** `/api/v1/status/walreplay`: how many of the log's segments have been read, which is answered before all else is. */
export function registerReplayStatus(app: FastifyInstance, progress: () => ReplayProgress): void {
  app.get("/api/v1/status/walreplay", async () => {
    const { segmentCount, segmentTotal } = progress();
    return envelope({ min: 0, max: segmentTotal, current: segmentCount });
  });
}
