import { plainHttpClient } from "../config/plain-http-client.ts";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { FakeKubernetes, type FakeKubernetesOptions } from "../../test/support/fake-kubernetes.ts";
import { AppError } from "../base/errors.ts";
import { Secret } from "../config/secret.ts";
import { createHttpClient } from "../http/client.ts";
import { createTestAuthority } from "../http/test-certificates.ts";
import { KubeClient } from "./client.ts";
import { type KubeConnection } from "./connection.ts";
import { isKubeStatus, KubeError } from "./kube-error.ts";
import { LEASES, NODES, PODS, STATEFUL_SETS, type KubeObject } from "./resources.ts";

interface Lease extends KubeObject {
  readonly spec?: { readonly holderIdentity?: string; readonly leaseTransitions?: number };
}

async function start(
  t: TestContext,
  options: FakeKubernetesOptions & { connection?: Partial<KubeConnection> } = {},
): Promise<{ fake: FakeKubernetes; client: KubeClient }> {
  const fake = await FakeKubernetes.start(options);
  const client = new KubeClient({
    connection: {
      server: fake.url,
      namespace: "default",
      httpClient: plainHttpClient(),
      credentials: undefined,
      ...options.connection,
    },
    createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
  });
  t.after(async () => {
    await client.close();
    await fake.stop();
  });
  return { fake, client };
}

function isKubeError(status: number, message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof KubeError, String(error));
    assert.equal(error.status, status);
    assert.match(error.message, message);
    return true;
  };
}

test("objects are created, read, replaced, patched and deleted", async (t) => {
  const { fake, client } = await start(t);
  const created = await client.create<Lease>(LEASES, {
    metadata: { name: "leader" },
    spec: { holderIdentity: "a" },
  });
  assert.equal(created.metadata.namespace, "default");
  assert.equal(created.kind, "Lease");
  const read = await client.get<Lease>(LEASES, { name: "leader" });
  assert.deepEqual(read, created);
  const replaced = await client.replace<Lease>(LEASES, { ...read, spec: { holderIdentity: "b" } });
  assert.notEqual(replaced.metadata.resourceVersion, read.metadata.resourceVersion);
  const patched = await client.patch<Lease>(
    LEASES,
    { name: "leader" },
    { spec: { leaseTransitions: 1 } },
  );
  assert.deepEqual(patched.spec, { holderIdentity: "b", leaseTransitions: 1 });
  await client.delete(LEASES, { name: "leader" });
  await assert.rejects(
    client.get(LEASES, { name: "leader" }),
    isKubeError(
      404,
      /^cannot get leases\.coordination\.k8s\.io "leader" in namespace "default": .*not found/,
    ),
  );
  assert.deepEqual(
    fake.accesses.map(({ verb, resource, group, namespace }) => [verb, group, resource, namespace]),
    ["create", "get", "update", "patch", "delete", "get"].map((verb) => [
      verb,
      "coordination.k8s.io",
      "leases",
      "default",
    ]),
  );
});

test("a write on an old version is a conflict, and so is creating twice", async (t) => {
  const { client } = await start(t);
  const lease = await client.create<Lease>(LEASES, { metadata: { name: "leader" } });
  await client.replace<Lease>(LEASES, { ...lease, spec: { holderIdentity: "other" } });
  await assert.rejects(
    client.replace<Lease>(LEASES, { ...lease, spec: { holderIdentity: "me" } }),
    (error: KubeError) =>
      isKubeError(409, /the object has been modified/)(error) && error.isConflict,
  );
  await assert.rejects(
    client.create<Lease>(LEASES, { metadata: { name: "leader" } }),
    (error: KubeError) => {
      assert.equal(error.code, "already-exists");
      assert.equal(error.isConflict, false);
      return isKubeError(409, /already exists/)(error);
    },
  );
});

test("a strategic patch joins lists by their key, a merge patch replaces them", async (t) => {
  const { fake, client } = await start(t);
  const containers = [
    { name: "a", image: "a:1" },
    { name: "b", image: "b:1" },
  ];
  fake.put("pods", { metadata: { name: "p", namespace: "default" }, spec: { containers } });
  const patch = { spec: { containers: [{ name: "b", image: "b:2" }] } };
  const strategic = await client.patch<KubeObject & { spec: { containers: unknown[] } }>(
    PODS,
    { name: "p" },
    patch,
    { strategy: "strategic" },
  );
  assert.deepEqual(strategic.spec.containers, [containers[0], { name: "b", image: "b:2" }]);
  const merged = await client.patch<typeof strategic>(PODS, { name: "p" }, patch);
  assert.deepEqual(merged.spec.containers, [{ name: "b", image: "b:2" }]);
});

test("a scale is read and written on its own, and refused when it is old", async (t) => {
  const { fake, client } = await start(t);
  fake.put("statefulsets", {
    metadata: { name: "shard", namespace: "default" },
    spec: { replicas: 1, selector: { matchLabels: { app: "shard" } } },
  });
  const scale = await client.getScale(STATEFUL_SETS, { name: "shard" });
  assert.equal(scale.spec.replicas, 1);
  assert.equal(scale.status?.selector, "app=shard");
  const { resourceVersion } = scale.metadata;
  const scaled = await client.replaceScale(
    STATEFUL_SETS,
    { name: "shard" },
    { replicas: 3, resourceVersion: resourceVersion! },
  );
  assert.equal(scaled.spec.replicas, 3);
  assert.deepEqual(
    (fake.get("statefulsets", "shard", "default")!["spec"] as { replicas: number }).replicas,
    3,
  );
  await assert.rejects(
    client.replaceScale(
      STATEFUL_SETS,
      { name: "shard" },
      { replicas: 5, resourceVersion: resourceVersion! },
    ),
    (error: KubeError) => error.isConflict,
  );
  assert.deepEqual(
    fake.accesses.map(({ verb, resource }) => `${verb} ${resource}`),
    ["get statefulsets/scale", "update statefulsets/scale", "update statefulsets/scale"],
  );
});

test("a list comes in pages of one version, selected by labels and fields", async (t) => {
  const { fake, client } = await start(t);
  for (let i = 0; i < 7; i++)
    fake.put("pods", {
      metadata: {
        name: `p${i}`,
        namespace: i < 5 ? "a" : "b",
        labels: { parity: i % 2 === 0 ? "even" : "odd" },
      },
      spec: { nodeName: "n" },
    });
  const sizes: number[] = [];
  const versions = new Set<string>();
  const names: string[] = [];
  for await (const page of client.pages(PODS, { limit: 3 })) {
    if (sizes.length === 0) fake.put("pods", { metadata: { name: "late", namespace: "a" } });
    sizes.push(page.items.length);
    versions.add(page.resourceVersion);
    names.push(...page.items.map((pod) => pod.metadata.name!));
  }
  assert.deepEqual(sizes, [3, 3, 1]);
  assert.deepEqual([...versions], ["7"]);
  assert.deepEqual(names, ["p0", "p1", "p2", "p3", "p4", "p5", "p6"]);
  const selected = await client.list(PODS, {
    namespace: "a",
    labelSelector: "parity in (even)",
    fieldSelector: "spec.nodeName=n,metadata.name!=p0",
  });
  assert.deepEqual(
    selected.items.map((pod) => pod.metadata.name),
    ["p2", "p4"],
  );
  const cached = await client.list(PODS, { resourceVersion: "0", limit: 2 });
  assert.equal(cached.items.length, 8, "any version comes whole");
});

test("a page that the server no longer knows is gone", async (t) => {
  const { fake, client } = await start(t);
  for (let i = 0; i < 3; i++) fake.put("pods", { metadata: { name: `p${i}`, namespace: "a" } });
  const first = await client.list(PODS, { limit: 1 });
  fake.compact();
  await assert.rejects(
    client.list(PODS, { limit: 1, continueToken: first.continueToken! }),
    (error: KubeError) => error.isGone && error.reason === "Expired",
  );
});

test("a watch brings what changes, and objects that come into and leave the selection", async (t) => {
  const { fake, client } = await start(t);
  fake.put("pods", { metadata: { name: "before", namespace: "a", labels: { app: "x" } } });
  const { resourceVersion } = await client.list(PODS);
  const events = await client.watch(PODS, {
    namespace: "a",
    labelSelector: "app=x",
    resourceVersion,
    timeoutSeconds: 60,
  });
  fake.put("pods", { metadata: { name: "p", namespace: "a", labels: { app: "x" } } });
  fake.put("pods", { metadata: { name: "elsewhere", namespace: "b", labels: { app: "x" } } });
  fake.put("pods", { metadata: { name: "p", namespace: "a", labels: { app: "x", v: "2" } } });
  fake.put("pods", { metadata: { name: "p", namespace: "a", labels: { app: "y" } } });
  fake.remove("pods", "before", "a");
  fake.sendBookmarks();
  fake.dropWatches("end");
  const seen: string[] = [];
  for await (const { type, object } of events)
    seen.push(`${type} ${object.metadata.name ?? object.metadata.resourceVersion}`);
  assert.deepEqual(seen, ["ADDED p", "MODIFIED p", "DELETED p", "DELETED before", "BOOKMARK 6"]);
});

test("a watch ends after its time, throws when it is cut, and is gone when its version is", async (t) => {
  const { fake, client } = await start(t);
  fake.put("nodes", { metadata: { name: "n" } });
  const short = await client.watch(NODES, { resourceVersion: "1", timeoutSeconds: 1 });
  const types: string[] = [];
  for await (const event of short) types.push(event.type);
  assert.deepEqual(types, ["BOOKMARK"]);

  const cut = await client.watch(NODES, { resourceVersion: "1", timeoutSeconds: 60 });
  fake.dropWatches();
  await assert.rejects(cut.next(), (error: AppError) => error.code === "unavailable");

  fake.compact();
  const old = await client.watch(NODES, { resourceVersion: "1", timeoutSeconds: 60 });
  await assert.rejects(old.next(), (error: KubeError) => error.isGone);
});

test("canceling ends a watch", async (t) => {
  const { fake, client } = await start(t);
  const stopping = new AbortController();
  const events = await client.watch(PODS, {
    resourceVersion: "0",
    timeoutSeconds: 60,
    signal: stopping.signal,
  });
  assert.equal(fake.watchCount, 1);
  stopping.abort();
  await assert.rejects(events.next(), (error: AppError) => error.code === "canceled");
});

test("a server that is busy is asked again after the time it names", async (t) => {
  const { fake, client } = await start(t);
  fake.put("nodes", { metadata: { name: "n" } });
  fake.fail({ action: { status: 429, retryAfterSeconds: 1 } });
  const startedMs = performance.now();
  const nodes = await client.list(NODES);
  assert.equal(nodes.items.length, 1);
  assert.ok(performance.now() - startedMs >= 990, "asked again too early");
  assert.equal(fake.accesses.length, 2);
});

test("errors that are no answers of the API are reported, not retried", async (t) => {
  const { fake, client } = await start(t);
  fake.fail({ action: { status: 500 } });
  await assert.rejects(
    client.list(NODES),
    isKubeError(500, /^cannot list nodes: injected by the test \(InternalError\)/),
  );
  fake.fail({ action: "cut", times: 2 });
  await assert.rejects(client.list(NODES), (error: AppError) => error.code === "unavailable");
});

test("a request that is never answered times out", async (t) => {
  const { fake } = await start(t);
  const client = new KubeClient({
    connection: {
      server: fake.url,
      namespace: "default",
      httpClient: plainHttpClient(),
      credentials: undefined,
    },
    createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
    requestTimeoutMs: 50,
  });
  t.after(() => client.close());
  fake.fail({ action: "hang" });
  await assert.rejects(client.list(NODES), (error: AppError) => error.code === "timeout");
});

test("a forbidden request names what to grant; a granted one passes", async (t) => {
  const { fake, client } = await start(t, {
    tokens: { good: "system:serviceaccount:shoal:coordinator" },
    enforcesRoles: true,
    connection: {
      httpClient: plainHttpClient({
        authorization: { type: "Bearer", credentials: new Secret("good"), credentialsFile: "" },
      }),
    },
  });
  await assert.rejects(
    client.list(PODS, { namespace: "shoal" }),
    isKubeError(
      403,
      /cannot list pods in namespace "shoal": forbidden: .* grant the verb "list" on "pods" by a Role/,
    ),
  );
  fake.put("roles", {
    metadata: { name: "reader", namespace: "shoal" },
    rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
  });
  fake.put("rolebindings", {
    metadata: { name: "reader", namespace: "shoal" },
    roleRef: { kind: "Role", name: "reader" },
    subjects: [{ kind: "ServiceAccount", name: "coordinator", namespace: "shoal" }],
  });
  assert.deepEqual((await client.list(PODS, { namespace: "shoal" })).items, []);
  await assert.rejects(client.list(PODS), isKubeError(403, /by a ClusterRole$/));
  await assert.rejects(client.list(PODS, { namespace: "other" }), isKubeError(403, /forbidden/));
});

test("HTTPS with the cluster's authority, over HTTP/2, several requests at once beside a watch", async (t) => {
  const authority = createTestAuthority("test");
  const { fake, client } = await start(t, { tls: authority.issue(["127.0.0.1"]) });
  const plain = plainHttpClient();
  const trusting = new KubeClient({
    connection: {
      ...client.connection,
      httpClient: { ...plain, tls: { ...plain.tls, ca: authority.cert } },
    },
    createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
  });
  t.after(() => trusting.close());
  await assert.rejects(client.list(NODES), /unknown authority/);
  const events = await trusting.watch(NODES, { resourceVersion: "0", timeoutSeconds: 60 });
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => trusting.create(NODES, { metadata: { name: `n${i}` } })),
  );
  for (let i = 0; i < 20; i++) assert.equal((await events.next()).value?.type, "ADDED");
  assert.equal((await trusting.list(NODES)).items.length, 20);
  assert.equal(fake.watchCount, 1);
  await events.return?.();
});

test("the server's version", async (t) => {
  const { client } = await start(t, { version: "v1.20.2" });
  assert.equal(await client.version(), "v1.20.2");
});

test("credentials that the server refuses are asked for once more", async (t) => {
  const tokens = ["stale", "fresh"];
  let invalidated = 0;
  const { client } = await start(t, {
    tokens: { fresh: "admin" },
    connection: {
      credentials: {
        get: () =>
          Promise.resolve({
            token: new Secret(tokens[invalidated]!),
            certificate: "",
            key: Secret.NONE,
          }),
        invalidate: () => void invalidated++,
      },
    },
  });
  assert.deepEqual((await client.list(NODES)).items, []);
  assert.equal(invalidated, 1);
});

test("credentials that stay refused are an error that does not show them", async (t) => {
  const { client } = await start(t, {
    tokens: {},
    connection: {
      httpClient: plainHttpClient({
        authorization: {
          type: "Bearer",
          credentials: new Secret("topsecret"),
          credentialsFile: "",
        },
      }),
    },
  });
  await assert.rejects(client.list(NODES), (error: unknown) => {
    assert.ok(isKubeStatus(error, 401));
    assert.doesNotMatch(String(error.stack), /topsecret/);
    return /does not accept the credentials/.test(error.message);
  });
});
