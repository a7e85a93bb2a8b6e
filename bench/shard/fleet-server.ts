/**
 * As many shards as are asked for, in one process behind one port, under `/<ordinal>`: they keep the lists they are given
 * and say that every target was just scraped well. Run as a child with an IPC channel: node fleet-server.ts <shards>
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { AppError } from "../../src/base/errors.ts";
import { byHash } from "../../src/shard/listed-assignments.ts";
import { encodeStatusTable } from "../../src/shard/status-columns.ts";
import { type StatusList, StatusTable } from "../../src/shard/status-table.ts";
import {
  type AssignedTarget,
  decodeAssignment,
  decodeChanges,
  encodeAssignment,
  encodeRuntime,
  encodeStatus,
  parseJson,
  printJson,
  type TargetStatus,
} from "../../src/shard/wire.ts";

interface FleetShard {
  /** By hash. */
  list: readonly AssignedTarget[];
  /** What the list is called, for statuses in columns. */
  statusList: StatusList;
  configHash: string;
}

const INTERVAL_MS = 15_000;

const shards = Array.from({ length: Number(process.argv[2]) }, (): FleetShard => ({
  list: [],
  statusList: { revision: "0", hashes: [] },
  configHash: "",
}));
let lists = 0;

const server = createServer((request, response) => {
  void answer(request).then(
    (data) => response.end(Buffer.isBuffer(data) ? data : printJson({ status: "success", data })),
    (error: unknown) => {
      response.statusCode = error instanceof AppError ? 406 : 503;
      response.end(JSON.stringify({ status: "error", error: String(error) }));
    },
  );
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit(0));

async function answer(request: IncomingMessage): Promise<unknown> {
  const [, ordinal = "", path = "", query] =
    /^\/(\d+)(\/.*?)\/?(?:\?(.*))?$/.exec(request.url ?? "") ?? [];
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
    case "/api/v1/shard/targets/columns": {
      const table = new StatusTable(shard.statusList);
      for (const [place, entry] of shard.list.entries()) table.set(place, statusOf(entry));
      return encodeStatusTable(table, new URLSearchParams(query).get("list") ?? "");
    }
    case "/api/v1/shard/targets/changes": {
      const { base, set, gone } = decodeChanges(body);
      if (base !== shard.statusList.revision)
        throw new AppError("not-acceptable", "it is another list");
      const list = new Map(shard.list.map((entry) => [entry.target.hash, entry]));
      for (const hash of gone) list.delete(hash);
      for (const entry of set) list.set(entry.target.hash, entry);
      give(shard, [...list.values()]);
      return undefined;
    }
    case "/api/v1/shard/assignment":
      return encodeAssignment(shard.list);
    case "/api/v1/shard/targets":
      give(shard, decodeAssignment(body));
      return undefined;
    case "/api/v1/status/config":
      shard.configHash = String((body as { hash: unknown }).hash);
      return undefined;
    default:
      throw new Error(`nothing at ${path}`);
  }
}

function give(shard: FleetShard, list: readonly AssignedTarget[]): void {
  shard.list = [...list].sort((a, b) => byHash(a.target, b.target));
  shard.statusList = {
    revision: String(++lists),
    hashes: shard.list.map(({ target }) => target.hash),
  };
}

/** Scraped well in its interval, since it was assigned and a while before. */
function statusOf({ target, state, assignedAtMs, load }: AssignedTarget): TargetStatus {
  const nowMs = Date.now();
  const offsetMs = Number(target.hash.slice(-4));
  const lastScrapeMs = nowMs - ((nowMs + offsetMs) % INTERVAL_MS);
  const scrapes = 9 + Math.floor((nowMs - assignedAtMs) / INTERVAL_MS);
  return {
    state,
    assignedAtMs,
    load,
    health: "up",
    lastError: "",
    lastScrapeMs,
    lastScrapeDurationMs: 3,
    scrapes,
    goodScrapes: scrapes,
  };
}

async function textOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("utf8");
}
