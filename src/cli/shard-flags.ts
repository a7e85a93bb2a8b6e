import { choiceFlag, durationFlag, numberFlag, sizeFlag, switchFlag, textFlag } from "./flags.ts";

/** Flags of what scrapes and keeps: `shoal shard`, and `shoal up` for its own. */

export const STORAGE_FLAGS = {
  storagePath: textFlag(
    { name: "storage.tsdb.path", value: "path", help: "Data folder. One process owns it." },
    "data/",
  ),
  retentionTime: durationFlag(
    { name: "storage.tsdb.retention.time", help: "How long samples are kept." },
    "15d",
  ),
  retentionSize: sizeFlag(
    {
      name: "storage.tsdb.retention.size",
      help: "Most bytes of blocks and log; the oldest blocks go first. 0: no limit.",
    },
    "0",
  ),
} as const;

export const DATABASE_FLAGS = {
  maxExemplars: numberFlag(
    {
      name: "storage.exemplars.exemplars-limit",
      help: "Most exemplars kept in memory, of all series; storage.exemplars.max_exemplars in the configuration goes before. 0: none.",
    },
    { fallback: 100_000, min: 0, max: 100_000_000 },
  ),
  walSync: choiceFlag(
    {
      name: "storage.tsdb.wal-sync",
      value: "when",
      help: "When the log is forced to the disk: none (as Prometheus: a power loss costs what the system had not written), interval (every second) or commit (before a scrape counts as stored).",
    },
    { fallback: "none", choices: ["none", "interval", "commit"] },
  ),
} as const;

export const SHARD_ADMIN_FLAGS = {
  enableAdminApi: switchFlag({
    name: "web.enable-admin-api",
    help: "Allow deleting samples and taking snapshots by HTTP, with POST /api/v1/admin/tsdb/delete_series, clean_tombstones and snapshot.",
  }),
} as const;

export const ORPHAN_FLAGS = {
  orphanGrace: durationFlag(
    {
      name: "shard.orphan-grace",
      help: "How long a shard goes on without hearing from its coordinator before it drains and ends. 0s: forever.",
    },
    "0",
  ),
} as const;

export const REPLICA_FLAGS = {
  shardReplica: textFlag(
    {
      name: "shard.replica",
      value: "name",
      help: "The replica group this shard is of: stands on all its series as the label replica, beside the configuration's external labels.",
    },
    "",
  ),
} as const;

export const UP_SHARD_FLAGS = {
  shardEngine: choiceFlag(
    {
      name: "shard.engine",
      value: "engine",
      help: "What a shard is: embedded (Shoal's own engine) or prometheus (a real Prometheus with a sidecar).",
    },
    { fallback: "embedded", choices: ["embedded", "prometheus"] },
  ),
  shardReplicas: numberFlag(
    {
      name: "shard.replicas",
      help: "Replica groups: so many shards scrape each target, and queries merge them by the label replica.",
    },
    { fallback: 1, min: 1, max: 9 },
  ),
  orphanGrace: durationFlag(
    {
      name: "shard.orphan-grace",
      help: "How long shards go on scraping when this process is killed; a new one that starts meanwhile takes them over.",
    },
    "1m",
  ),
} as const;

export const SHARD_WEB_FLAGS = {
  shardId: textFlag(
    { name: "shard.id", value: "name", help: "What the coordinator and people call this shard." },
    "shard-0",
  ),
  listenAddress: textFlag(
    {
      name: "web.listen-address",
      value: "host:port",
      help: "Where the control API listens. Who reaches it controls the shard.",
    },
    "127.0.0.1:8080",
  ),
  grpcAddress: textFlag(
    { name: "grpc.address", value: "host:port", help: "Where the StoreAPI (gRPC) listens." },
    "127.0.0.1:10901",
  ),
} as const;
