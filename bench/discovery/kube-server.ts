/**
 * An API server with many pods, in a process of its own: prints its URL, then changes `changesPerMinute` pods once a line
 * arrives on stdin. Pods are of the size of real ones (about 9 KB of JSON); what they have in common is held once.
 */
import { once } from "node:events";
import { FakeKubernetes } from "../../test/support/fake-kubernetes.ts";
import type { FakeObject } from "../../test/support/fake-kubernetes-store.ts";
import { systemRandom as random, randomInt } from "../../src/base/random.ts";

const [podCount, changesPerMinute] = process.argv.slice(2).map(Number) as [number, number];
const PODS_PER_APPLICATION = 20;
const NODES = 2000;

const padding = (size: number): string => "x".repeat(size);
const environment = Array.from({ length: 25 }, (_, i) => ({
  name: `VARIABLE_${i}`,
  value: padding(40),
}));
const probe = { httpGet: { path: "/healthz", port: 8080 }, periodSeconds: 10, failureThreshold: 3 };
const spec = {
  containers: [
    {
      name: "main",
      image: "registry.example.com/team/application:1.2.3",
      ports: [
        { name: "http", containerPort: 8080, protocol: "TCP" },
        { name: "metrics", containerPort: 9090, protocol: "TCP" },
      ],
      env: environment,
      livenessProbe: probe,
      readinessProbe: probe,
      resources: {
        limits: { cpu: "1", memory: "1Gi" },
        requests: { cpu: "100m", memory: "256Mi" },
      },
      volumeMounts: Array.from({ length: 6 }, (_, i) => ({
        name: `v${i}`,
        mountPath: `/mnt/${i}`,
      })),
    },
    { name: "proxy", image: "registry.example.com/mesh/proxy:1.9", env: environment },
  ],
  volumes: Array.from({ length: 6 }, (_, i) => ({
    name: `v${i}`,
    configMap: { name: `config-${i}` },
  })),
  tolerations: [{ key: "node.kubernetes.io/not-ready", operator: "Exists", effect: "NoExecute" }],
};
const managedFields = [
  { manager: "kubelet", operation: "Update", fieldsV1: { "f:status": padding(2500) } },
];

function pod(index: number, options: { createdAtMs?: number; revision?: number } = {}): FakeObject {
  const application = Math.floor(index / PODS_PER_APPLICATION);
  const name = `application-${application}-5d4f8c7b9d-${index.toString(36).padStart(5, "0")}`;
  return {
    metadata: {
      name,
      namespace: `team-${application % 200}`,
      uid: `0b5c7a34-91fd-4a1e-8c57-${index.toString(16).padStart(12, "0")}`,
      labels: {
        app: `application-${application}`,
        "app.kubernetes.io/name": `application-${application}`,
        "app.kubernetes.io/instance": `release-${application}`,
        "app.kubernetes.io/version": "1.2.3",
        "app.kubernetes.io/managed-by": "Helm",
        "pod-template-hash": "5d4f8c7b9d",
        team: `team-${application % 200}`,
        ...(options.revision !== undefined && { revision: String(options.revision) }),
      },
      annotations: {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "9090",
        "kubectl.kubernetes.io/restartedAt": "2026-01-01T00:00:00Z",
        "checksum/config": padding(64),
        ...(options.createdAtMs !== undefined && {
          "bench/created-at": String(options.createdAtMs),
        }),
      },
      ownerReferences: [
        {
          kind: "ReplicaSet",
          name: `application-${application}-5d4f8c7b9d`,
          uid: "u",
          controller: true,
        },
      ],
      managedFields,
    },
    spec: { ...spec, nodeName: `node-${index % NODES}` },
    status: {
      phase: "Running",
      podIP: `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`,
      hostIP: `172.16.${(index % NODES) >> 8}.${(index % NODES) & 255}`,
      conditions: ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
        type,
        status: "True",
        lastTransitionTime: "2026-01-01T00:00:00Z",
      })),
      containerStatuses: ["main", "proxy"].map((container) => ({
        name: container,
        ready: true,
        restartCount: 0,
        image: "registry.example.com/team/application:1.2.3",
        imageID: `registry.example.com/team/application@sha256:${padding(64)}`,
        containerID: `containerd://${index.toString(16).padStart(64, "0")}`,
      })),
    },
  };
}

const fake = await FakeKubernetes.start();
for (let i = 0; i < podCount; i++) fake.put("pods", pod(i));
console.log(fake.url);
await once(process.stdin, "data");
let next = podCount;
let oldest = 0;
let revision = 0;
setInterval(() => {
  // Half of all changes are of pods that stay, the others are pods that come and go.
  const chance = random.next();
  if (chance < 0.5)
    fake.put("pods", pod(oldest + randomInt(random, podCount), { revision: ++revision }));
  else if (chance < 0.75) fake.put("pods", pod(next++, { createdAtMs: Date.now() }));
  else {
    const { name, namespace } = pod(oldest++).metadata;
    fake.remove("pods", name, namespace);
  }
}, 60_000 / changesPerMinute);
