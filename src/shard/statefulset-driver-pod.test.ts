import assert from "node:assert/strict";
import { test } from "node:test";
import { readPod } from "./statefulset-driver-pod.ts";

const READY = { type: "Ready", status: "True" };
const RUNNING = { phase: "Running", podIP: "10.0.0.1", conditions: [READY] };

const pod = (status: object, metadata: object = {}) =>
  readPod(Object.assign({ metadata: { name: "shoal-0", ...metadata } }, { status }));

test("why a pod is not up", () => {
  const f = (status: object, want: string | undefined, metadata: object = {}): void =>
    assert.equal(pod(status, metadata).problem, want);
  f(RUNNING, undefined);
  f({}, "its pod is starting");
  f({ ...RUNNING, podIP: "" }, "its pod has no address yet");
  f(RUNNING, "its pod is being deleted", { deletionTimestamp: "2026-01-01T00:00:00Z" });
  f(
    { phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." },
    "its pod ended: Evicted: The node was low on resource: memory.",
  );
  f(
    {
      phase: "Pending",
      conditions: [
        {
          type: "PodScheduled",
          status: "False",
          reason: "Unschedulable",
          message: "0/3 nodes are available: 3 Insufficient memory.",
        },
      ],
    },
    "its pod cannot be scheduled: Unschedulable: 0/3 nodes are available: 3 Insufficient memory.",
  );
  const container = (state: object, lastState: object = {}): object => ({
    phase: "Running",
    podIP: "10.0.0.1",
    conditions: [{ type: "Ready", status: "False", reason: "ContainersNotReady" }],
    containerStatuses: [
      { name: "sidecar", ready: true, restartCount: 0, state: { running: {} } },
      { name: "prometheus", ready: false, restartCount: 4, state, lastState },
    ],
  });
  const crashed = { waiting: { reason: "CrashLoopBackOff", message: "back-off 5m0s" } };
  f(
    container(crashed, { terminated: { reason: "OOMKilled", exitCode: 137 } }),
    "container prometheus waits: CrashLoopBackOff; it last ended with OOMKilled (exit code 137)",
  );
  f(container(crashed), "container prometheus waits: CrashLoopBackOff: back-off 5m0s");
  f(
    container({ terminated: { reason: "Error", exitCode: 2 } }),
    "container prometheus ended: Error (exit code 2)",
  );
  f(
    container({ waiting: { reason: "ErrImagePull", message: "not found" } }),
    "container prometheus waits: ErrImagePull: not found",
  );
  f(
    container({ running: {} }, { terminated: { reason: "OOMKilled", exitCode: 137 } }),
    "its pod is not ready: ContainersNotReady",
  );
  f(
    { ...container({ waiting: { reason: "ContainerCreating" } }), phase: "Pending" },
    "its pod is starting",
  );
});

test("restarts of all containers count; the port of the StoreAPI is the one called grpc", () => {
  const read = readPod(
    Object.assign(
      {
        metadata: {
          name: "shoal-0",
          uid: "u",
          ownerReferences: [
            { apiVersion: "v1", kind: "StatefulSet", name: "shoal", uid: "s", controller: true },
          ],
        },
      },
      {
        spec: {
          nodeName: "n1",
          containers: [
            { ports: [{ name: "http", containerPort: 8080 }] },
            { ports: [{ name: "grpc", containerPort: 19090 }] },
          ],
        },
        status: {
          ...RUNNING,
          initContainerStatuses: [{ name: "i", restartCount: 1 }],
          containerStatuses: [
            { name: "a", restartCount: 2, state: { running: {} } },
            { name: "b", restartCount: 3, state: { running: {} } },
          ],
        },
      },
    ),
  );
  assert.deepEqual(read, {
    uid: "u",
    ownerUid: "s",
    ip: "10.0.0.1",
    grpcPort: 19_090,
    node: "n1",
    restarts: 6,
    problem: undefined,
  });
});
