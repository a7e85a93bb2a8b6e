import { choiceFlag, durationFlag, sizeFlag, switchFlag, textFlag } from "./flags.ts";
import { LOG_FLAGS, SCRAPE_FLAGS } from "./common-flags.ts";
import { ORPHAN_FLAGS, REPLICA_FLAGS, SHARD_WEB_FLAGS } from "./shard-flags.ts";

/** How to start the sidecar's own Prometheus; `shoal up` passes them on. */
export const PROMETHEUS_FLAGS = {
  prometheusBinary: textFlag(
    {
      name: "prometheus.binary",
      value: "path",
      help: "A Prometheus that the sidecar itself starts, watches and stops; a mere name is looked up in PATH. Without it --prometheus.url is used.",
    },
    "",
  ),
  prometheusArgs: textFlag(
    {
      name: "prometheus.args",
      value: "arguments",
      help: "Further arguments for that Prometheus, with spaces between: --prometheus.args='--enable-feature=native-histograms --query.timeout=1m'.",
    },
    "",
  ),
} as const;

/** Kvass's and Thanos's names where they have the flag. */
export const SIDECAR_FLAGS = {
  shardId: SHARD_WEB_FLAGS.shardId,
  ...REPLICA_FLAGS,
  prometheusUrl: textFlag(
    {
      name: "prometheus.url",
      value: "url",
      help: "The Prometheus beside this sidecar. It must run with --web.enable-lifecycle. Not used with --prometheus.binary.",
    },
    "http://127.0.0.1:9090",
  ),
  ...PROMETHEUS_FLAGS,
  tsdbPath: textFlag(
    {
      name: "storage.tsdb.path",
      value: "path",
      help: "Data folder of the sidecar's own Prometheus. Default: prometheus/ in --store.path.",
    },
    "",
  ),
  retentionTime: durationFlag(
    {
      name: "storage.tsdb.retention.time",
      help: "How long the sidecar's own Prometheus keeps samples. 0s: what Prometheus does by itself.",
    },
    "0",
  ),
  retentionSize: sizeFlag(
    {
      name: "storage.tsdb.retention.size",
      help: "Most bytes that the sidecar's own Prometheus keeps. 0: no limit.",
    },
    "0",
  ),
  configFile: textFlag(
    {
      name: "config.file",
      value: "path",
      help: "The original prometheus.yml, kept up to date by others. Without it the coordinator sends its own.",
    },
    "",
  ),
  kvassCoordinator: textFlag(
    {
      name: "kvass.coordinator-url",
      value: "url",
      help: "The API of a Kvass coordinator that is to drive this sidecar, such as http://kvass-coordinator:9090: its name for its configuration, which shards have to report, is read there.",
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
  delivery: choiceFlag(
    {
      name: "delivery",
      value: "way",
      help: "How targets are scraped: direct (Prometheus asks them itself) or proxy (it asks the sidecar, as with Kvass: for agents such as vmagent).",
    },
    { fallback: "direct", choices: ["direct", "proxy"] },
  ),
  proxyAddress: textFlag(
    {
      name: "web.proxy-addr",
      value: "host:port",
      help: "Where the scrape proxy of --delivery=proxy listens. Who reaches it can have targets scraped with the jobs' credentials.",
    },
    "127.0.0.1:8008",
  ),
  proxyAllowRemote: switchFlag({
    name: "web.proxy-allow-remote",
    help: "Allow --web.proxy-addr to be no loopback address.",
  }),
  injectProxy: textFlag(
    {
      name: "inject.proxy",
      value: "url",
      help: "The proxy_url that every job gets with --delivery=proxy. auto: where the scrape proxy listens; empty: jobs keep theirs.",
    },
    "auto",
  ),
  ...SCRAPE_FLAGS,
  fetchHeadSeries: choiceFlag(
    {
      name: "shard.fetch-head-series",
      value: "bool",
      help: "Ask Prometheus how many series its head has. false, for agents that have none: the series of all targets are summed up.",
    },
    { fallback: "true", choices: ["true", "false"] },
  ),
  selfMonitor: switchFlag({
    name: "shard.self-monitor",
    help: "Add a job prometheus_shards by which Prometheus scrapes itself, with labels replicate (POD_NAME or --shard.id) and shard.",
  }),
  listenAddress: textFlag(
    {
      name: "web.listen-address",
      value: "host:port",
      alias: "web.api-addr",
      help: "Where the control API and Prometheus's API listen. Who reaches it controls the shard.",
    },
    "127.0.0.1:8080",
  ),
  grpcAddress: textFlag(
    { name: "grpc-address", value: "host:port", help: "Where the StoreAPI (gRPC) listens." },
    "127.0.0.1:10901",
  ),
  ...ORPHAN_FLAGS,
  ...LOG_FLAGS,
} as const;
