import {
  bareChoiceFlag,
  durationFlag,
  listFlag,
  numberFlag,
  switchFlag,
  textFlag,
  urlFlag,
} from "./flags.ts";

/** Flags of what coordinates: `shoal coordinator`, and `shoal up` for its own. */

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

export const UP_DECISION_FLAGS = {
  decisionLog: textFlag(
    {
      ...DECISION_LOG,
      help: "File that decisions are kept in (JSON lines), so that why things are where they are is known after a restart. Relative paths start from --storage.tsdb.path. Empty: not kept.",
    },
    "decisions.jsonl",
  ),
} as const;

export const DECISION_FLAGS = {
  decisionLog: textFlag(
    {
      ...DECISION_LOG,
      help: "File that decisions are kept in (JSON lines), so that why things are where they are is known after a restart. Empty: not kept.",
    },
    "",
  ),
} as const;

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
