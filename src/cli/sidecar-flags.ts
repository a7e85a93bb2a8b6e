import { textFlag } from "./flags.ts";
import { LOG_FLAGS, REPLICA_FLAGS, SHARD_WEB_FLAGS } from "./flag-tables.ts";

/** Kvass's and Thanos's names where they have the flag. */
export const SIDECAR_FLAGS = {
  shardId: SHARD_WEB_FLAGS.shardId,
  ...REPLICA_FLAGS,
  prometheusUrl: textFlag(
    {
      name: "prometheus.url",
      value: "url",
      help: "The Prometheus beside this sidecar. It must run with --web.enable-lifecycle.",
    },
    "http://127.0.0.1:9090",
  ),
  configFile: textFlag(
    {
      name: "config.file",
      value: "path",
      help: "The original prometheus.yml, kept up to date by others. Without it the coordinator sends its own.",
    },
    "",
  ),
  outputFile: textFlag(
    {
      name: "config.output-file",
      value: "path",
      help: "The generated configuration: what Prometheus must be started with.",
    },
    "prometheus_injected.yml",
  ),
  storePath: textFlag(
    {
      name: "store.path",
      value: "path",
      help: "Folder for what the coordinator has assigned; Prometheus reads its targets there too.",
    },
    "sidecar-data/",
  ),
  listenAddress: textFlag(
    {
      name: "web.listen-address",
      value: "host:port",
      help: "Where the control API and Prometheus's API listen. Who reaches it controls the shard.",
    },
    "127.0.0.1:8080",
  ),
  grpcAddress: textFlag(
    { name: "grpc-address", value: "host:port", help: "Where the StoreAPI (gRPC) listens." },
    "127.0.0.1:10901",
  ),
  ...LOG_FLAGS,
} as const;
