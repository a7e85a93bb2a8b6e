import type { KubeObject } from "../kubernetes/resources.ts";

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly reason?: string; readonly exitCode?: number };
}

interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly restartCount?: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

interface PodObject extends KubeObject {
  readonly spec?: {
    readonly nodeName?: string;
    readonly containers?: readonly {
      readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[];
    }[];
  };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly podIP?: string;
    readonly conditions?: readonly Condition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

/** What a driver needs to know of a shard's pod. */
export interface ShardPod {
  readonly uid: string;
  /** Of the StatefulSet that made it; "" for a pod made by hand. */
  readonly ownerUid: string;
  /** Undefined while it has none. */
  readonly ip: string | undefined;
  /** Port of its StoreAPI: the container port called `grpc`. */
  readonly grpcPort: number | undefined;
  /** "" while it is not scheduled. */
  readonly node: string;
  /** Of all its containers since it was made. */
  readonly restarts: number;
  /** Why it is not up; undefined when it is. */
  readonly problem: string | undefined;
}

export function readPod(object: KubeObject): ShardPod {
  const { metadata, spec = {}, status = {} } = object as PodObject;
  const containers = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  const ports = (spec.containers ?? []).flatMap(({ ports: listed = [] }) => listed);
  return {
    uid: metadata.uid ?? "",
    ownerUid:
      metadata.ownerReferences?.find(
        ({ controller, kind }) => controller === true && kind === "StatefulSet",
      )?.uid ?? "",
    ip: status.podIP || undefined,
    grpcPort: ports.find(({ name }) => name === "grpc")?.containerPort,
    node: spec.nodeName ?? "",
    restarts: containers.reduce((sum, { restartCount = 0 }) => sum + restartCount, 0),
    problem: problemOf(object as PodObject, containers),
  };
}

/** The most telling of all that keeps a pod from being up. */
function problemOf(
  { metadata, status = {} }: PodObject,
  containers: readonly ContainerStatus[],
): string | undefined {
  if (metadata.deletionTimestamp !== undefined) return "its pod is being deleted";
  const { phase = "Pending", conditions = [] } = status;
  const condition = (type: string): Condition | undefined =>
    conditions.find((one) => one.type === type);
  if (phase === "Failed" || phase === "Succeeded")
    return `its pod ended: ${sentence(status.reason ?? phase, status.message)}`;
  const scheduled = condition("PodScheduled");
  if (scheduled?.status === "False")
    return `its pod cannot be scheduled: ${sentence(scheduled.reason, scheduled.message)}`;
  const stuck = containers.map(containerProblem).find((problem) => problem !== undefined);
  if (stuck !== undefined) return stuck;
  if (phase !== "Running") return "its pod is starting";
  const ready = condition("Ready");
  if (ready?.status !== "True")
    return `its pod is not ready: ${sentence(ready?.reason, ready?.message)}`;
  return status.podIP ? undefined : "its pod has no address yet";
}

/** Undefined for a container that runs, or that has not had its turn. */
function containerProblem({ name, state, lastState }: ContainerStatus): string | undefined {
  const { waiting, terminated } = state ?? {};
  const ended = terminated ?? lastState?.terminated;
  const how =
    ended === undefined
      ? ""
      : `${ended.reason ?? "Error"} (exit code ${ended.exitCode ?? "unknown"})`;
  if (waiting !== undefined) {
    const { reason = "Waiting", message } = waiting;
    if (reason === "ContainerCreating" || reason === "PodInitializing") return undefined;
    const why = how === "" ? sentence(reason, message) : `${reason}; it last ended with ${how}`;
    return `container ${name} waits: ${why}`;
  }
  if (terminated !== undefined && terminated.exitCode !== 0)
    return `container ${name} ended: ${how}`;
  return undefined;
}

function sentence(reason = "", message = ""): string {
  if (reason === "" || message === "") return reason || message || "no reason is given";
  return `${reason}: ${message}`;
}
