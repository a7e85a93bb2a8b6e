import type { FastifyReply, FastifyRequest } from "fastify";
import { compareText } from "../../base/text.ts";
import { parametersOf } from "../server.ts";
import { type CoordinatorClient, isRecord, type ShardAnswer } from "./coordinator-client.ts";
import { invalidParameter } from "./parameters.ts";
import { sendData } from "./send.ts";

/** Prometheus's default and largest `limit` of `/api/v1/status/tsdb`. */
const TSDB_LIMIT = 10;
const TSDB_LIMIT_MAX = 10_000;

const CARDINALITY_LISTS = [
  "seriesCountByMetricName",
  "labelValueCountByLabelName",
  "memoryInBytesByLabelName",
  "seriesCountByLabelValuePair",
] as const;

/** `/api/v1/status/tsdb` of all shards together; a replica group counts once. */
export async function tsdbStatus(
  request: FastifyRequest,
  reply: FastifyReply,
  coordinator: CoordinatorClient,
): Promise<FastifyReply> {
  const text = parametersOf(request).get("limit") ?? "";
  const limit = text === "" ? TSDB_LIMIT : Number(text);
  if (!/^\d*$/.test(text) || limit < 1)
    throw invalidParameter("limit", "limit must be a positive number");
  if (limit > TSDB_LIMIT_MAX)
    throw invalidParameter("limit", `limit must not exceed ${TSDB_LIMIT_MAX}`);
  // Every shard is asked for its longest lists, so that an entry spread thinly over many shards is still counted whole.
  const { answers, silent } = await coordinator.fromShards(
    `/api/v1/status/tsdb?limit=${TSDB_LIMIT_MAX}`,
  );
  const counted = oneReplicaOf(answers);
  const ordinals = new Set(counted.map(({ shard }) => shard.ordinal));
  // What a replica holds that answered is not missing.
  const warnings = silent.flatMap(({ shard, warning }) =>
    ordinals.has(shard.ordinal) ? [] : [warning],
  );
  const shards = counted.map(({ data }) => data).filter(isRecord);
  const heads = shards.map((shard) => shard["headStats"]).filter(isRecord);
  const total = (name: string): number =>
    heads.reduce((sum, head) => sum + numberOf(head[name]), 0);
  const filled = heads.filter((head) => numberOf(head["numSeries"]) > 0);
  const headStats = {
    numSeries: total("numSeries"),
    numLabelPairs: total("numLabelPairs"),
    chunkCount: total("chunkCount"),
    minTime: Math.min(...filled.map((head) => numberOf(head["minTime"]))),
    maxTime: Math.max(...filled.map((head) => numberOf(head["maxTime"]))),
  };
  const lists: Record<string, unknown> = {};
  for (const list of CARDINALITY_LISTS) {
    const sums = new Map<string, number>();
    for (const shard of shards) {
      const entries = shard[list];
      for (const entry of Array.isArray(entries) ? entries.filter(isRecord) : []) {
        const name = String(entry["name"]);
        const before = sums.get(name) ?? 0;
        // The same label value lives on many shards: counts of distinct values do not add up, so the largest stands.
        sums.set(
          name,
          list === "labelValueCountByLabelName"
            ? Math.max(before, numberOf(entry["value"]))
            : before + numberOf(entry["value"]),
        );
      }
    }
    const sorted = [...sums].sort((a, b) => b[1] - a[1] || compareText(a[0], b[0]));
    lists[list] = sorted.slice(0, limit).map(([name, value]) => ({ name, value }));
  }
  if (filled.length > 0) return sendData(request, reply, { headStats, ...lists }, { warnings });
  // An empty head reports the extremes of int64, which JavaScript numbers cannot hold: as raw JSON text.
  const empty = JSON.stringify({
    headStats: { ...headStats, minTime: 0, maxTime: 0 },
    ...lists,
  }).replace(
    '"minTime":0,"maxTime":0',
    '"minTime":9223372036854775807,"maxTime":-9223372036854775808',
  );
  return reply
    .type("application/json")
    .send(
      `{"status":"success","data":${empty}${warnings.length > 0 ? `,"warnings":${JSON.stringify(warnings)}` : ""}}`,
    );
}

/** `/api/v1/status/tsdb/blocks` of every shard, each block with whose it is. */
export async function blocksStatus(
  request: FastifyRequest,
  reply: FastifyReply,
  coordinator: CoordinatorClient,
): Promise<FastifyReply> {
  const { answers, silent } = await coordinator.fromShards("/api/v1/status/tsdb/blocks");
  const blocks = answers.flatMap(({ shard, data }) => {
    const list = isRecord(data) && Array.isArray(data["blocks"]) ? data["blocks"] : [];
    return list.filter(isRecord).map((block) => ({ ...block, shard: shard.id }));
  });
  return sendData(request, reply, { blocks }, { warnings: silent.map(({ warning }) => warning) });
}

/** `/api/v1/status/walreplay`: the segments of all shards' logs added up. */
export async function replayStatus(
  request: FastifyRequest,
  reply: FastifyReply,
  coordinator: CoordinatorClient,
): Promise<FastifyReply> {
  const { answers, silent } = await coordinator.fromShards("/api/v1/status/walreplay");
  const logs = answers.map(({ data }) => data).filter(isRecord);
  const total = (name: string): number => logs.reduce((sum, log) => sum + numberOf(log[name]), 0);
  const data = { min: total("min"), max: total("max"), current: total("current") };
  return sendData(request, reply, data, { warnings: silent.map(({ warning }) => warning) });
}

function numberOf(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

/**
 * The shards to count where several replica groups have the same targets: those of the group that answered most fully, and
 * for ordinals that it lacks the next one's, since shard k of every group has the same targets.
 */
export function oneReplicaOf(answers: readonly ShardAnswer[]): ShardAnswer[] {
  const groups = [...Map.groupBy(answers, ({ shard }) => shard.replica)]
    .sort(([a, x], [b, y]) => y.length - x.length || compareText(a, b))
    .map(([, group]) => group);
  const byOrdinal = new Map<number, ShardAnswer>();
  for (const group of groups)
    for (const answer of group)
      if (!byOrdinal.has(answer.shard.ordinal)) byOrdinal.set(answer.shard.ordinal, answer);
  return [...byOrdinal.values()];
}
