import { formatDuration } from "../base/units.ts";
import { DEFAULT_PLAN_OPTIONS } from "../shard/plan-types.ts";
import {
  bareChoiceFlag,
  choiceFlag,
  durationFlag,
  listFlag,
  numberFlag,
  shareFlag,
  sizeFlag,
  switchFlag,
  textFlag,
  urlFlag,
} from "./flags.ts";

/** The flags of all roles, each defined once. */

export const LOG_FLAGS = {
  logLevel: choiceFlag(
    {
      name: "log.level",
      value: "level",
      help: "Least important log lines that are written: debug, info, warn or error.",
    },
    { fallback: "info", choices: ["debug", "info", "warn", "error"] },
  ),
  logFormat: choiceFlag(
    { name: "log.format", value: "format", help: "How log lines are written: logfmt or json." },
    { fallback: "logfmt", choices: ["logfmt", "json"] },
  ),
} as const;

export const CONFIG_FLAGS = {
  configFile: textFlag(
    { name: "config.file", value: "path", help: "The Prometheus configuration file." },
    "prometheus.yml",
  ),
} as const;

export const AUTO_RELOAD_FLAGS = {
  autoReloadInterval: durationFlag(
    {
      name: "config.auto-reload-interval",
      help: "How often --config.file is looked at, and read again when what it says has changed. 0s: only when told to.",
    },
    "0",
  ),
} as const;

export const LIFECYCLE_FLAGS = {
  enableLifecycle: switchFlag({
    name: "web.enable-lifecycle",
    help: "Allow reloading and stopping by HTTP: POST /-/reload, POST /-/quit.",
  }),
} as const;

export const ADMIN_FLAGS = {
  enableAdminApi: switchFlag({
    name: "web.enable-admin-api",
    help: "Allow changing the system by HTTP: draining shards with POST /api/v1/shards/drain, stopping all scrapes with POST /api/v1/status/extra_config.",
  }),
} as const;

export const WEB_FLAGS = {
  listenAddress: textFlag(
    {
      name: "web.listen-address",
      value: "host:port",
      help: "Where the HTTP API and the page listen.",
    },
    "127.0.0.1:9090",
  ),
  externalUrl: textFlag(
    {
      name: "web.external-url",
      value: "url",
      help: "The URL under which others reach this server, when it is another than the listen address.",
    },
    "",
  ),
  corsOrigin: textFlag(
    {
      name: "web.cors.origin",
      value: "regex",
      help: "Origins that browsers may call the HTTP API from; fully anchored.",
    },
    ".*",
  ),
} as const;

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

/** How a database keeps what it is given. */
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

export const QUERY_FLAGS = {
  lookbackDelta: durationFlag(
    {
      name: "query.lookback-delta",
      help: "How far back an expression looks for the newest sample of a series.",
    },
    "5m",
  ),
  queryTimeout: durationFlag(
    { name: "query.timeout", help: "Longest time a query may take." },
    "2m",
  ),
  maxConcurrency: numberFlag(
    {
      name: "query.max-concurrency",
      help: "Queries evaluated at the same time; further ones wait.",
    },
    { fallback: 20, min: 1 },
  ),
  maxSamples: numberFlag(
    { name: "query.max-samples", help: "Most samples one query may hold in memory." },
    { fallback: 50_000_000, min: 1 },
  ),
  replicaLabel: listFlag({
    name: "query.replica-label",
    value: "name",
    help: "A label that tells replicas apart: series that differ in it only become one. May be repeated. Default: replica, when the coordinator has replica groups.",
  }),
  dedupFunc: choiceFlag(
    {
      name: "deduplication.func",
      value: "name",
      help: "How replicas become one series: gapless stays with one and loses no scrape at a change, penalty is Thanos's choice, chain takes all samples (for copies).",
    },
    { fallback: "gapless", choices: ["gapless", "penalty", "chain"] },
  ),
  partialResponse: switchFlag(
    {
      name: "query.partial-response",
      help: "Answer with warnings when not all stores do; --no-query.partial-response makes that an error. A request's partial_response parameter wins.",
    },
    true,
  ),
} as const;

/** Kvass's flags for how shards are loaded and scaled. */
export const PLAN_FLAGS = {
  maxSeries: numberFlag(
    {
      name: "shard.max-series",
      help: "Sets the limits of head and process series at once. 0: they are taken as given.",
    },
    { fallback: 0, min: 0 },
  ),
  maxHeadSeries: numberFlag(
    {
      name: "shard.max-head-series",
      help: "Most series in a shard's head, which is its memory. 0: no limit.",
    },
    { fallback: 0, min: 0 },
  ),
  maxProcessSeries: numberFlag(
    {
      name: "shard.max-process-series",
      help: "Most series a shard parses in one round of scrapes, before metric relabelling.",
    },
    { fallback: 1_000_000, min: 1 },
  ),
  maxSamplesPerSecond: numberFlag(
    {
      name: "shard.max-samples-per-second",
      help: "Most samples a shard stores a second: what a target costs by its scrape interval. 0: no limit.",
    },
    { fallback: 0, min: 0 },
  ),
  minShard: numberFlag(
    { name: "shard.min-shard", help: "Fewest shards." },
    { fallback: 0, min: 0 },
  ),
  maxShard: numberFlag(
    { name: "shard.max-shard", help: "Most shards." },
    { fallback: 999_999, min: 1 },
  ),
  maxIdleTime: durationFlag(
    {
      name: "shard.max-idle-time",
      help: "How long the last shard must be without targets before it is removed. 0s: shards are never removed.",
    },
    "0",
  ),
  placement: choiceFlag(
    {
      name: "shard.placement",
      value: "mode",
      help: "Where new targets go: spread (the emptiest shard), pack (the first one with room) or auto (pack when shards may be removed, else spread).",
    },
    { fallback: "auto", choices: ["auto", "spread", "pack"] },
  ),
  targetUtilisation: shareFlag(
    {
      name: "shard.target-utilisation",
      help: "How much of its limits a shard is filled to while others have room; the rest is for growth.",
    },
    DEFAULT_PLAN_OPTIONS.targetUtilisation,
  ),
  maxMoves: numberFlag(
    {
      name: "shard.max-moves",
      help: "Most targets that change shards at the same time to even shards out or to empty one. 0: targets only leave overloaded and lost shards.",
    },
    { fallback: DEFAULT_PLAN_OPTIONS.maxMoves, min: 0 },
  ),
  maxMovesPerCycle: numberFlag(
    {
      name: "shard.max-moves-per-cycle",
      help: "Most such moves begun at once.",
    },
    { fallback: DEFAULT_PLAN_OPTIONS.maxMovesPerCycle, min: 0 },
  ),
  moveScrapes: numberFlag(
    {
      name: "shard.move-scrapes",
      help: "How often a target's new shard has to scrape it before the old one lets go.",
    },
    { fallback: DEFAULT_PLAN_OPTIONS.transferScrapes, min: 1 },
  ),
  moveCooldown: durationFlag(
    {
      name: "shard.move-cooldown",
      help: "How long a target stays where it was put before it is moved to even shards out.",
    },
    formatDuration(DEFAULT_PLAN_OPTIONS.moveCooldownMs),
  ),
  scaleDownCooldown: durationFlag(
    {
      name: "shard.scale-down-cooldown",
      help: "How long after shards were added none is emptied or removed.",
    },
    formatDuration(DEFAULT_PLAN_OPTIONS.scaleDownCooldownMs),
  ),
  scaleUpCooldown: durationFlag(
    {
      name: "shard.scale-up-cooldown",
      help: "How long after shards were removed none is added for targets that full shards scrape. Targets that nobody scrapes do not wait.",
    },
    formatDuration(DEFAULT_PLAN_OPTIONS.scaleUpCooldownMs),
  ),
  disableAlleviate: switchFlag({
    name: "shard.disable-alleviate",
    help: "Do not move targets off overloaded shards.",
  }),
  failoverGrace: durationFlag(
    {
      name: "shard.failover-grace",
      help: "How long a shard may be unreachable before its targets go to others.",
    },
    "1m",
  ),
} as const;

export const COORDINATOR_FLAGS = {
  coordinatorInterval: durationFlag(
    { name: "coordinator.interval", help: "Pause between two looks at targets and shards." },
    "10s",
  ),
  exploreConcurrence: numberFlag(
    { name: "explore.concurrence", help: "New targets measured at the same time." },
    { fallback: 200, min: 1, max: 10_000 },
  ),
  sdHoldTime: durationFlag(
    {
      name: "sd.hold-time",
      help: "How long a discovery that suddenly lists less than half of a job's targets must stay so before they are dropped.",
    },
    "5m",
  ),
  targetIgnoreLabels: listFlag({
    name: "target.ignore-labels",
    value: "name",
    help: "Labels whose values may change without making it another target: a target stays on its shard then. Names, or RE2 expressions for whole names. May be repeated.",
  }),
} as const;

/** How targets are asked: by shards, and by the coordinator when it measures them. */
export const SCRAPE_FLAGS = {
  scrapeProxy: urlFlag({
    name: "scrape.proxy",
    variable: "SCRAPE_PROXY",
    help: "The proxy that all scrapes go through, whatever proxy_url a job has; that goes to the proxy as the header Origin-Proxy. http_sd_configs without a proxy use it too.",
  }),
  scrapeDisableKeepAlive: switchFlag({
    name: "scrape.disable-keep-alive",
    help: "Open a new connection for each scrape.",
  }),
  serviceAccountPath: textFlag(
    {
      name: "inject.kubernetes-sa-path",
      value: "path",
      help: "Folder of the service account's token and ca.crt, for jobs and kubernetes_sd_configs that name Kubernetes's usual one.",
    },
    "",
  ),
} as const;

/** Kvass's, for a coordinator outside of the cluster that it discovers. */
export const INJECT_FLAGS = {
  kubernetesUrl: urlFlag({
    name: "inject.kubernetes-url",
    help: "The API server of kubernetes_sd_configs that name none.",
  }),
  kubernetesProxy: urlFlag({
    name: "inject.kubernetes-proxy",
    help: "The proxy_url of kubernetes_sd_configs that name no api_server.",
  }),
  discoveryDisableKeepAlive: switchFlag({
    name: "discovery.disable-keep-alive",
    help: "Open a new connection for each question of service discovery.",
  }),
} as const;

/** Kvass's flags that there is nothing to set for. */
export const KVASS_IDLE_FLAGS = {
  sdInitTimeout: durationFlag(
    {
      name: "sd.init-timeout",
      help: "Kvass's longest wait for the first answers of service discovery.",
      noEffect:
        "targets of a job that has not been discovered yet stay where they are, however long it takes",
    },
    "1m",
  ),
} as const;

const DECISION_LOG = {
  name: "coordinator.decision-log",
  value: "path",
} as const;

/** Where `up` keeps its decisions. */
export const UP_DECISION_FLAGS = {
  decisionLog: textFlag(
    {
      ...DECISION_LOG,
      help: "File that decisions are kept in (JSON lines), so that why things are where they are is known after a restart. Relative paths start from --storage.tsdb.path. Empty: not kept.",
    },
    "decisions.jsonl",
  ),
} as const;

/** The same for a coordinator that runs alone and has no data folder. */
export const DECISION_FLAGS = {
  decisionLog: textFlag(
    {
      ...DECISION_LOG,
      help: "File that decisions are kept in (JSON lines), so that why things are where they are is known after a restart. Empty: not kept.",
    },
    "",
  ),
} as const;

/** Several coordinators of which one leads. */
export const LEADER_FLAGS = {
  leaderFolder: textFlag(
    {
      name: "leader-election.folder",
      value: "path",
      help: "Folder shared by several coordinators on this machine, of which one leads and the others stand by.",
    },
    "",
  ),
  leaderLease: textFlag(
    {
      name: "leader-election.lease",
      value: "name",
      help: "Kubernetes Lease by which one of several coordinators leads: a name in --shard.namespace, or namespace/name.",
    },
    "",
  ),
  leaderIdentity: textFlag(
    {
      name: "leader-election.identity",
      value: "url",
      help: "The base URL under which the other coordinators reach this one's HTTP API. Default: the listen address.",
    },
    "",
  ),
} as const;

export const DRY_RUN_FLAGS = {
  dryRun: bareChoiceFlag(
    {
      name: "dry-run",
      value: "format",
      help: "Discover, measure and plan, print the plan as text or json, and end. Nothing is changed.",
    },
    { fallback: "off", bare: "text", choices: ["off", "text", "json"] },
  ),
} as const;

/** Where a coordinator that runs alone finds its shards. */
export const STATIC_SHARD_FLAGS = {
  shardUrl: listFlag({
    name: "shard.url",
    value: "url",
    help: "A shard's control API, like http://10.0.0.1:8080. May be repeated.",
  }),
  staticFile: textFlag(
    {
      name: "shard.static-file",
      value: "path",
      help: "YAML file with the shards (Kvass's static shards), read again for every cycle.",
    },
    "",
  ),
} as const;

/** Shards that are StatefulSets: Kvass's flags, and how the cluster is reached. */
export const KUBERNETES_FLAGS = {
  shardType: choiceFlag(
    {
      name: "shard.type",
      value: "type",
      help: "Where shards come from: static (--shard.url, --shard.static-file) or k8s (StatefulSets). auto: static when such shards are given, else k8s.",
    },
    { fallback: "auto", choices: ["auto", "k8s", "static"] },
  ),
  shardNamespace: textFlag(
    {
      name: "shard.namespace",
      value: "name",
      help: "Namespace in which StatefulSets are looked for. Empty: all of them.",
    },
    "",
  ),
  shardSelector: textFlag(
    {
      name: "shard.selector",
      value: "labels",
      help: "Label selector for StatefulSets. Each that matches is one replica group.",
    },
    "app.kubernetes.io/name=prometheus",
  ),
  shardPort: numberFlag(
    { name: "shard.port", value: "port", help: "Port of the control API in a shard's pod." },
    { fallback: 8080, min: 1, max: 65_535 },
  ),
  shardGrpcPort: numberFlag(
    {
      name: "shard.grpc-port",
      value: "port",
      help: "Port of the StoreAPI in a shard's pod, where it has no container port called grpc.",
    },
    { fallback: 10_901, min: 1, max: 65_535 },
  ),
  deletePvc: switchFlag({
    name: "shard.delete-pvc",
    help: "Delete the volume claims of removed shards once their data is known to be uploaded or expired.",
  }),
  kubeconfig: textFlag(
    {
      name: "kubeconfig",
      value: "path",
      help: "Cluster and user for --shard.type=k8s, the Lease and --operator.prometheus. Empty: the cluster that this process is a pod of.",
    },
    "",
  ),
} as const;

export const OPERATOR_FLAGS = {
  operatorPrometheus: textFlag(
    {
      name: "operator.prometheus",
      value: "namespace/name",
      help: "A Prometheus object of the Prometheus operator: the ServiceMonitors, PodMonitors, Probes and ScrapeConfigs that it selects are scraped beside --config.file's jobs. Empty: none.",
    },
    "",
  ),
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

/** A shard that is a member of a replica group. */
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

/** How `up` runs its shards. */
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

export const COORDINATOR_WEB_FLAGS = {
  listenAddress: textFlag(
    {
      name: "web.listen-address",
      value: "host:port",
      alias: "web.address",
      help: "Where the coordinator's HTTP API listens.",
    },
    "127.0.0.1:9091",
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

export const ENDPOINT_FLAGS = {
  coordinatorUrl: textFlag(
    {
      name: "coordinator.url",
      value: "url",
      help: "The coordinator whose shards are asked, like http://127.0.0.1:9091.",
    },
    "",
  ),
  endpoint: listFlag({
    name: "endpoint",
    value: "host:port",
    help: "A further StoreAPI to ask: a Thanos sidecar, store or query. May be repeated.",
  }),
} as const;

export const QUERY_STORE_FLAGS = {
  grpcAddress: textFlag(
    {
      name: "grpc-address",
      value: "host:port",
      help: "Where the query serves all it reads as one StoreAPI (gRPC), for another query above it. Not served by default.",
    },
    "",
  ),
} as const;

export const DEMO_FLAGS = {
  engine: choiceFlag(
    {
      name: "engine",
      value: "engine",
      help: "What the shards are: embedded (Shoal's own engine) or prometheus (real Prometheus servers).",
    },
    { fallback: "embedded", choices: ["embedded", "prometheus"] },
  ),
  replicas: numberFlag(
    { name: "replicas", help: "Replica groups: so many shards scrape each target." },
    { fallback: 1, min: 1, max: 9 },
  ),
  check: switchFlag({
    name: "check",
    help: "Verify the result through the query API, print one line of JSON figures and end.",
  }),
} as const;
