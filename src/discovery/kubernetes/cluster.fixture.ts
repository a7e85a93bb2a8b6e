import type { FakeKubernetes } from "../../../test/support/fake-kubernetes.ts";

/** A small cluster with every shape of object that discovery looks at. */

type Json = Readonly<Record<string, unknown>>;

export function node(name: string, changes: { labels?: Json; status?: Json } = {}): Json {
  return {
    metadata: {
      name,
      labels: { "kubernetes.io/hostname": name, zone: "z1", ...changes.labels },
      annotations: { "node.alpha.kubernetes.io/ttl": "0" },
    },
    spec: { providerID: `kind://docker/${name}` },
    status: {
      addresses: [
        { type: "Hostname", address: name },
        { type: "ExternalIP", address: "203.0.113.7" },
        { type: "InternalIP", address: "10.0.0.1" },
        { type: "InternalIP", address: "fd00::1" },
      ],
      conditions: [
        { type: "Ready", status: "True" },
        { type: "MemoryPressure", status: "Unknown" },
      ],
      daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
      ...changes.status,
    },
  };
}

export function pod(
  name: string,
  options: {
    namespace?: string;
    ip?: string;
    node?: string;
    labels?: Readonly<Record<string, string>>;
    spec?: Json;
    status?: Json;
    owner?: Json;
  } = {},
): Json {
  const { namespace = "web", ip = "10.1.0.1", node: nodeName = "n1", owner } = options;
  return {
    metadata: {
      name,
      namespace,
      uid: `uid-${name}`,
      labels: { app: "shop", "app.kubernetes.io/part-of": "a-b", ...options.labels },
      annotations: { "prometheus.io/scrape": "true", "odd key/ä": "v" },
      ...(owner !== undefined && { ownerReferences: [owner] }),
    },
    spec: {
      nodeName,
      containers: [
        {
          name: "main",
          image: "shop:1",
          ports: [
            { name: "http", containerPort: 8080, protocol: "TCP" },
            { name: "metrics", containerPort: 9100, protocol: "TCP" },
          ],
        },
        { name: "bare", image: "sidecar:2" },
      ],
      initContainers: [
        { name: "init", image: "init:1", ports: [{ containerPort: 7, protocol: "UDP" }] },
      ],
      ...options.spec,
    },
    status: {
      phase: "Running",
      podIP: ip,
      hostIP: "10.0.0.1",
      conditions: [
        { type: "Initialized", status: "True" },
        { type: "Ready", status: "True" },
      ],
      containerStatuses: [{ name: "main", containerID: "containerd://abc" }],
      initContainerStatuses: [{ name: "init", containerID: "containerd://def" }],
      ...options.status,
    },
  };
}

const replicaSet = {
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  name: "shop-7c",
  uid: "u1",
  controller: true,
};

export function endpoints(name: string, changes: Json = {}): Json {
  return {
    metadata: { name, namespace: "web", labels: { app: "shop" }, annotations: { a: "b" } },
    subsets: [
      {
        addresses: [
          { ip: "10.1.0.1", nodeName: "n1", targetRef: podRef("shop-1") },
          { ip: "10.1.0.9", hostname: "h9" },
          { ip: "10.0.0.1", targetRef: { kind: "Node", name: "n1" } },
          { ip: "10.1.0.8", nodeName: "n-unknown", targetRef: podRef("nobody") },
        ],
        notReadyAddresses: [{ ip: "fd00::12", nodeName: "n2", targetRef: podRef("shop-v6") }],
        ports: [
          { name: "http", port: 8080, protocol: "TCP" },
          { name: "extra", port: 1, protocol: "TCP" },
        ],
      },
      { addresses: [{ ip: "10.1.0.5" }], ports: [{ port: 53, protocol: "UDP" }] },
    ],
    ...changes,
  };
}

function podRef(name: string, namespace = "web"): Json {
  return { kind: "Pod", namespace, name };
}

export function slice(name: string, changes: Json = {}): Json {
  return {
    metadata: {
      name,
      namespace: "web",
      labels: { "kubernetes.io/service-name": "shop", l: "v" },
      annotations: { s: "t" },
    },
    addressType: "IPv4",
    endpoints: [
      {
        addresses: ["10.1.0.1"],
        conditions: { ready: true, serving: true, terminating: false },
        hostname: "h1",
        nodeName: "n1",
        zone: "z1",
        targetRef: podRef("shop-1"),
        deprecatedTopology: { "kubernetes.io/hostname": "n1", rack: "r 7" },
      },
      { addresses: ["10.1.0.20", "10.1.0.21"], conditions: { ready: false } },
      {
        addresses: ["10.0.0.1"],
        conditions: {},
        nodeName: "n2",
        targetRef: { kind: "Node", name: "n1" },
      },
    ],
    ports: [
      { name: "http", port: 8080, protocol: "TCP", appProtocol: "http" },
      { name: "", port: 9, protocol: "SCTP" },
      { name: "any", protocol: "TCP" },
    ],
    ...changes,
  };
}

export function service(name: string, spec: Json = {}): Json {
  return {
    metadata: {
      name,
      namespace: "web",
      labels: { app: "shop", "a/b.c": "d" },
      annotations: { "prometheus.io/port": "8080" },
    },
    spec: {
      type: "ClusterIP",
      clusterIP: "10.2.0.1",
      ports: [
        { name: "http", port: 80, protocol: "TCP", targetPort: 8080 },
        { port: 53, protocol: "UDP" },
      ],
      ...spec,
    },
    status: { loadBalancer: {} },
  };
}

export function ingress(name: string, spec: Json = {}): Json {
  return {
    metadata: { name, namespace: "web", labels: { i: "j" }, annotations: { k: "l" } },
    spec: {
      ingressClassName: "nginx",
      tls: [{ hosts: ["*.example.com", "other.org"] }, { secretName: "s" }],
      rules: [
        {
          host: "a.example.com",
          http: { paths: [{ path: "/x" }, { path: "" }, { path: "/y/z" }] },
        },
        { host: "a.b.example.com", http: { paths: [{ path: "/" }] } },
        { host: "other.org" },
        { host: "empty.org", http: { paths: [] } },
        { http: { paths: [{ path: "/nohost" }] } },
      ],
      ...spec,
    },
  };
}

/** Fills the cluster. */
export function fillCluster(fake: FakeKubernetes): void {
  const put = (type: string, object: Json): void => void fake.put(type, object as never);
  for (const name of ["web", "db"])
    put("namespaces", {
      metadata: { name, labels: { team: `t-${name}` }, annotations: { x: "y" } },
    });
  put("nodes", node("n1"));
  put(
    "nodes",
    node("n2", {
      labels: { zone: "z2" },
      status: { addresses: [{ type: "Hostname", address: "n2" }] },
    }),
  );
  put("nodes", node("n-homeless", { status: { addresses: [] } }));
  put("pods", pod("shop-1", { owner: replicaSet }));
  put("pods", pod("shop-v6", { ip: "fd00::12", node: "n2", labels: { tier: "v6" } }));
  put("pods", pod("starting", { ip: "", status: { phase: "Pending", conditions: [] } }));
  put(
    "pods",
    pod("unscheduled", { node: "", status: { conditions: [{ type: "Ready", status: "False" }] } }),
  );
  put("pods", pod("lone", { namespace: "db", ip: "10.1.0.3", spec: { initContainers: null } }));
  put(
    "pods",
    pod("job-1", {
      namespace: "db",
      ip: "10.1.0.4",
      owner: { ...replicaSet, kind: "Job", name: "nightly-1" },
    }),
  );
  put(
    "pods",
    pod("owned", { namespace: "db", ip: "10.1.0.5", owner: { ...replicaSet, controller: false } }),
  );
  put("replicasets", {
    metadata: {
      name: "shop-7c",
      namespace: "web",
      ownerReferences: [
        { apiVersion: "apps/v1", kind: "Deployment", name: "shop", uid: "u2", controller: true },
      ],
    },
  });
  put("jobs", {
    metadata: {
      name: "nightly-1",
      namespace: "db",
      ownerReferences: [
        { apiVersion: "batch/v1", kind: "CronJob", name: "nightly", uid: "u3", controller: true },
      ],
    },
  });
  put("services", service("shop"));
  put(
    "services",
    service("outside", { type: "ExternalName", externalName: "x.example.com", clusterIP: "" }),
  );
  put("services", service("lb", { type: "LoadBalancer", loadBalancerIP: "198.51.100.9" }));
  put("services", service("portless", { ports: [] }));
  put("endpoints", endpoints("shop"));
  put(
    "endpoints",
    endpoints("serviceless", {
      subsets: [{ addresses: [{ ip: "10.9.0.1" }], ports: [{ port: 1 }] }],
    }),
  );
  put("endpoints", endpoints("empty", { subsets: null }));
  put("endpointslices", slice("shop-abc"));
  put(
    "endpointslices",
    slice("v6", {
      addressType: "IPv6",
      endpoints: [{ addresses: ["fd00::12"], targetRef: podRef("shop-v6") }],
    }),
  );
  put(
    "endpointslices",
    slice("bare", { metadata: { name: "bare", namespace: "db" }, ports: [], endpoints: [] }),
  );
  put("ingresses", ingress("front"));
  put(
    "ingresses",
    ingress("plain", { ingressClassName: undefined, tls: undefined, rules: [{ host: "p.org" }] }),
  );
}

/** Adds, changes and deletes nodes and pods. */
export function changePods(fake: FakeKubernetes): void {
  const put = (type: string, object: Json): void => void fake.put(type, object as never);
  put("nodes", node("n1", { labels: { zone: "z9" } }));
  put("nodes", node("n3"));
  fake.remove("nodes", "n2");
  put(
    "pods",
    pod("shop-1", { owner: replicaSet, labels: { version: "2" }, status: { phase: "Failed" } }),
  );
  put("pods", pod("starting", { ip: "10.1.0.77" }));
  put("pods", pod("late", { ip: "10.1.0.78", node: "n3" }));
  fake.remove("pods", "lone", "db");
}

/** Adds, changes and deletes services, endpoints and ingresses. */
export function changeServices(fake: FakeKubernetes): void {
  const put = (type: string, object: Json): void => void fake.put(type, object as never);
  put("services", service("shop", { clusterIP: "10.2.0.99" }));
  put("services", service("new"));
  fake.remove("services", "outside", "web");
  put(
    "endpoints",
    endpoints("shop", {
      subsets: [
        { addresses: [{ ip: "10.1.0.1", targetRef: podRef("shop-1") }], ports: [{ port: 9100 }] },
      ],
    }),
  );
  put(
    "endpoints",
    endpoints("new", {
      subsets: [
        {
          addresses: [{ ip: "10.1.0.78", targetRef: podRef("late"), nodeName: "n3" }],
          ports: [{ port: 8080 }],
        },
      ],
    }),
  );
  fake.remove("endpoints", "serviceless", "web");
  put(
    "endpointslices",
    slice("shop-abc", {
      endpoints: [{ addresses: ["10.1.0.1"], targetRef: podRef("shop-1"), nodeName: "n1" }],
    }),
  );
  put(
    "endpointslices",
    slice("new", { endpoints: [{ addresses: ["10.1.0.78"], targetRef: podRef("late") }] }),
  );
  fake.remove("endpointslices", "v6", "web");
  put("ingresses", ingress("front", { tls: [] }));
  put("ingresses", ingress("new"));
  fake.remove("ingresses", "plain", "web");
}
