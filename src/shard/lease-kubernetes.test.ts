import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/random.ts";
import { silentLogger } from "../base/logger.ts";
import { systemClock } from "../base/clock.ts";
import { LeaseElector, type LeaseRecord } from "./lease-elector.ts";
import { KubernetesLeaseStore } from "./lease-kubernetes.ts";
import { eventually, NAMESPACE, startCluster } from "./statefulset-driver.fixture.ts";

const TARGET = { name: "shoal-coordinator", namespace: NAMESPACE };
const signal = new AbortController().signal;
const record = (holder: string, epoch: number): LeaseRecord => ({
  holder,
  epoch,
  durationMs: 15_000,
  acquiredAtMs: Date.UTC(2026, 0, 1),
  renewedAtMs: Date.UTC(2026, 0, 1, 0, 0, 2),
});

test("a lease reads as it was written, by everyone's tools, too", async (context) => {
  const { client, fake } = await startCluster(context);
  const store = new KubernetesLeaseStore(client, TARGET);
  assert.equal(await store.read(signal), undefined);
  const epoch = 1_767_225_600_000;
  const first = await store.write(record("http://10.0.0.1:9091", epoch), undefined, signal);
  assert.deepEqual((await store.read(signal))?.record, record("http://10.0.0.1:9091", epoch));
  assert.deepEqual(fake.get("leases", TARGET.name, NAMESPACE)?.["spec"], {
    holderIdentity: "http://10.0.0.1:9091",
    leaseDurationSeconds: 15,
    acquireTime: "2026-01-01T00:00:00.000000Z",
    renewTime: "2026-01-01T00:00:02.000000Z",
    leaseTransitions: 0,
  });
  const other = new KubernetesLeaseStore(client, TARGET);
  const seen = await other.read(signal);
  assert.equal(seen?.version, first.version);
  await other.write(record("b", epoch + 1), seen, signal);
  await assert.rejects(store.write(record("a", epoch), first, signal), /replace|update|modified/);
  await assert.rejects(store.write(record("a", epoch), undefined, signal), /already exists/);
  const now = fake.get("leases", TARGET.name, NAMESPACE)!;
  assert.equal((now["spec"] as { leaseTransitions: number }).leaseTransitions, 1);
});

test("what others put into the object stays; a given-up lease names nobody", async (context) => {
  const { client, fake } = await startCluster(context);
  const store = new KubernetesLeaseStore(client, TARGET);
  await store.write(record("a", 1), undefined, signal);
  const object = fake.get("leases", TARGET.name, NAMESPACE)!;
  fake.put("leases", { ...object, metadata: { ...object.metadata, labels: { team: "x" } } });
  const seen = await store.read(signal);
  const released = await store.write({ ...record("", 1), durationMs: 1_000 }, seen, signal);
  assert.equal(released.record.holder, "");
  const after = fake.get("leases", TARGET.name, NAMESPACE)!;
  assert.deepEqual(after.metadata.labels, { team: "x" });
  assert.equal("holderIdentity" in (after["spec"] as object), false);
});

test("two coordinators on one API: one leads; the other follows when it stops", async (context) => {
  const { client } = await startCluster(context);
  const start = (identity: string, seed: number) => {
    const abort = new AbortController();
    const elector = new LeaseElector({
      identity,
      store: new KubernetesLeaseStore(client, TARGET),
      times: { leaseDurationMs: 1_500, renewDeadlineMs: 1_000, retryMs: 50 },
      clock: systemClock,
      random: seededRandom(seed),
      logger: silentLogger,
    });
    const done = elector.run(abort.signal, { onElected: () => {}, onLost: () => {} });
    context.after(() => abort.abort());
    return { elector, abort, done };
  };
  const a = start("http://a", 1);
  await eventually("a leads", () => a.elector.epoch());
  const b = start("http://b", 2);
  await eventually("b sees a", () => b.elector.holder() === "http://a");
  const epoch = a.elector.epoch()!;
  a.abort.abort();
  await a.done;
  assert.ok((await eventually("b leads", () => b.elector.epoch())) > epoch);
  b.abort.abort();
  await b.done;
});
