import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { systemRandom } from "../base/random.ts";
import type { Config, HttpClientConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient } from "../http/client.ts";
import { KubeClient } from "../kubernetes/client.ts";
import { inClusterConnection } from "../kubernetes/connection.ts";
import { kubeconfigConnection } from "../kubernetes/kubeconfig.ts";
import { MonitorSource } from "../monitors/monitor-source.ts";
import type { Leadership } from "../shard/leadership.ts";
import { KubernetesLeaseStore } from "../shard/lease-kubernetes.ts";
import { StatefulSetDrivers } from "../shard/statefulset-drivers.ts";
import { USER_AGENT } from "./coordinator-role.ts";
import type { COORDINATOR_FLAGS, LEADER_FLAGS } from "./coordinator-flags.ts";
import type { KUBERNETES_FLAGS, OPERATOR_FLAGS } from "./kubernetes-flags.ts";
import type { FlagValues } from "./flags.ts";

/** The API is asked again soon; a coordinator that waits longer loses its lease meanwhile. */
const REQUEST_TIMEOUT_MS = 15_000;

type KubernetesValues = FlagValues<typeof KUBERNETES_FLAGS>;

/** A client of the cluster that `--kubeconfig` names, or that this process is a pod of. */
export async function connectKubernetes(flags: KubernetesValues): Promise<KubeClient> {
  const newHttpClient = (config: HttpClientConfig): HttpClient =>
    createHttpClient(config, { userAgent: USER_AGENT });
  const environment = process.env;
  const connection =
    flags.kubeconfig === ""
      ? await inClusterConnection({ environment })
      : await kubeconfigConnection(flags.kubeconfig, {
          environment,
          clock: systemClock,
          createHttpClient: newHttpClient,
        });
  return new KubeClient({
    connection,
    createHttpClient: newHttpClient,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  });
}

export function createKubernetesFleet(
  flags: KubernetesValues,
  parts: {
    readonly client: KubeClient;
    readonly leadership: Leadership;
    readonly logger: Logger;
    readonly registry: Registry;
    readonly onChange: () => void;
  },
): StatefulSetDrivers {
  const { leadership, ...rest } = parts;
  return new StatefulSetDrivers({
    ...rest,
    namespace: flags.shardNamespace,
    selector: flags.shardSelector,
    port: flags.shardPort,
    grpcPort: flags.shardGrpcPort,
    deletesClaims: flags.deletePvc,
    mayWrite: () => leadership.epoch !== undefined,
    clock: systemClock,
    random: systemRandom,
  });
}

/** `--operator.prometheus`: the jobs of custom resources, or undefined without it. */
export function createMonitorSource(
  flags: KubernetesValues & FlagValues<typeof OPERATOR_FLAGS & typeof COORDINATOR_FLAGS>,
  parts: {
    readonly config: Config;
    readonly client: KubeClient | undefined;
    readonly logger: Logger;
    readonly registry: Registry;
  },
): MonitorSource | undefined {
  const { config, client, ...rest } = parts;
  if (flags.operatorPrometheus === "" || client === undefined) return undefined;
  const [namespace = "", name = "", ...more] = flags.operatorPrometheus.split("/");
  if (more.length > 0 || !isObjectName(namespace) || !isObjectName(name))
    throw new AppError(
      "bad-data",
      `cannot use ${JSON.stringify(flags.operatorPrometheus)} as --operator.prometheus: it must be a namespace and a name with a slash between`,
    );
  return new MonitorSource(config, {
    ...rest,
    client,
    prometheus: { namespace, name },
    kubeconfigFile: flags.kubeconfig === "" ? "" : resolve(flags.kubeconfig),
    holdMs: flags.sdHoldTime,
    clock: systemClock,
    random: systemRandom,
  });
}

/** `--leader-election.lease`: `name` or `namespace/name`. */
export function createLeaseStore(
  flags: KubernetesValues & FlagValues<typeof LEADER_FLAGS>,
  client: KubeClient,
): KubernetesLeaseStore {
  const parts = flags.leaderLease.split("/");
  const name = parts.pop()!;
  const namespace = parts.pop() ?? (flags.shardNamespace || client.connection.namespace);
  if (parts.length > 0 || !isObjectName(name) || !isObjectName(namespace))
    throw new AppError(
      "bad-data",
      `cannot use ${JSON.stringify(flags.leaderLease)} as --leader-election.lease: it must be a name, or a namespace and a name with a slash between`,
    );
  return new KubernetesLeaseStore(client, { name, namespace });
}

function isObjectName(text: string): boolean {
  return /^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/.test(text);
}
