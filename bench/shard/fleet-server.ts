/**
 * As many shards as are asked for, in one process behind one port, under `/<ordinal>`: they keep the lists they are given
 * and say that every target was just scraped well. Run as a child with an IPC channel: node fleet-server.ts <shards>
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import {
  type AssignedTarget,
  decodeAssignment,
  encodeAssignment,
  encodeRuntime,
  encodeStatus,
  parseJson,
  printJson,
  type TargetStatus,
} from "../../src/shard/wire.ts";

interface FleetShard {
  list: readonly AssignedTarget[];
  configHash: string;
}

const shards = Array.from({ length: Number(process.argv[2]) }, (): FleetShard => ({
  list: [],
  configHash: "",
}));

const server = createServer((request, response) => {
  void answer(request).then(
    (data) => response.end(printJson({ status: "success", data })),
    (error: unknown) => {
      response.statusCode = 503;
      response.end(JSON.stringify({ status: "error", error: String(error) }));
    },
  );
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));

async function answer(request: IncomingMessage): Promise<unknown> {
  const [, ordinal = "", path = ""] = /^\/(\d+)(\/.*?)\/?$/.exec(request.url ?? "") ?? [];
  const shard = shards[Number(ordinal)];
  if (shard === undefined) throw new Error(`no shard at ${request.url}`);
  const body: unknown = request.method === "POST" ? parseJson(await textOf(request)) : undefined;
  switch (path) {
    case "/api/v1/shard/runtimeinfo":
      return encodeRuntime({
        id: `shard-${ordinal}`,
        headSeries: shard.list.reduce((sum, { load }) => sum + load.series + 5, 0),
        processSeries: shard.list.reduce((sum, { load }) => sum + load.rawSeries, 0),
        configHash: shard.configHash,
        idleSinceMs: shard.list.length === 0 ? 1 : undefined,
        pid: process.pid,
        rssBytes: 1,
        startedAtMs: 1,
        grpcAddress: "",
        epoch: 0,
        stopReason: "",
      });
    case "/api/v1/shard/targets/status":
      return encodeStatus(new Map(shard.list.map((entry) => [entry.target.hash, statusOf(entry)])));
    case "/api/v1/shard/assignment":
      return encodeAssignment(shard.list);
    case "/api/v1/shard/targets":
      shard.list = decodeAssignment(body);
      return undefined;
    case "/api/v1/status/config":
      shard.configHash = String((body as { hash: unknown }).hash);
      return undefined;
    default:
      throw new Error(`nothing at ${path}`);
  }
}

function statusOf({ state, assignedAtMs, load }: AssignedTarget): TargetStatus {
  const lastScrapeMs = Date.now();
  return {
    state,
    assignedAtMs,
    load,
    health: "up",
    lastError: "",
    lastScrapeMs,
    lastScrapeDurationMs: 3,
    scrapes: 9,
    goodScrapes: 9,
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("utf8");
}
