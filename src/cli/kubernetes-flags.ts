import { choiceFlag, numberFlag, switchFlag, textFlag } from "./flags.ts";

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
