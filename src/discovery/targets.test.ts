import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseConfig } from "../config/load.ts";
import { PLAIN_JOB } from "../model/target-build.fixture.ts";
import type { TargetGroup } from "../model/target.ts";
import { VolatileLabels } from "../model/target-identity.ts";
import { type BuiltTargets, JobTargetBuilder } from "./targets.ts";

const JOB = { ...PLAIN_JOB, jobName: "j", targetLimit: 0 };

function group(source: string, ...addresses: string[]): TargetGroup {
  return {
    source,
    labels: {},
    targets: addresses.map((address) => ({ __address__: address })),
  };
}

test("equal targets are one, over all groups", () => {
  const { active, dropped, errors } = new JobTargetBuilder(JOB).build([
    group("a", "h:1", "h:2", "h:1"),
    group("b", "h:2", "h:3"),
  ]);
  assert.deepEqual(
    active.map((target) => target.url),
    ["http://h:1/metrics", "http://h:2/metrics", "http://h:3/metrics"],
  );
  assert.deepEqual([dropped(Infinity), errors], [[], []]);
  const metas: TargetGroup[] = [
    { ...group("a", "h:1"), labels: { __meta_x: "1" } },
    { ...group("b", "h:1"), labels: { __meta_x: "2" } },
  ];
  const same = new JobTargetBuilder(JOB).build(metas).active;
  assert.equal(same.length, 1, "meta labels are not identity");
  assert.equal(same[0]!.discoveredLabels.get("__meta_x"), "2");
});

test("a bad target costs only itself", () => {
  const { active, errors } = new JobTargetBuilder(JOB).build([
    group("f.json:0", "h:1", "a/b", "h:2", ""),
  ]);
  assert.equal(active.length, 2);
  assert.deepEqual(errors, [
    'instance 1 in group f.json:0: "a/b" is not a valid hostname',
    "instance 3 in group f.json:0: no address",
  ]);
});

test("target_limit counts targets after relabelling and de-duplication", () => {
  const limited = { ...JOB, targetLimit: 2 };
  const refusals = (built: BuiltTargets): unknown[] => built.active.map(({ refusal }) => refusal);
  const job = new JobTargetBuilder(limited);
  assert.deepEqual(refusals(job.build([group("a", "h:1", "h:2", "h:2")])), [undefined, undefined]);
  const over = job.build([group("a", "h:1", "h:2", "h:3")]);
  const error = "target_limit exceeded (number of targets: 3, limit: 2)";
  assert.deepEqual(refusals(over), [error, error, error]);
  assert.deepEqual(over.errors, [error]);
  assert.equal(over.active[2]!.labels.get("instance"), "h:3");
  assert.deepEqual(refusals(job.build([group("a", "h:1", "h:2")])), [undefined, undefined]);
});

test("what did not change is not built again", () => {
  const job = new JobTargetBuilder(JOB);
  const first = group("a", "h:1", "h:2");
  const before = job.build([first]);
  const after = job.build([
    { source: "a", labels: first.labels, targets: [first.targets[1]!, { __address__: "h:3" }] },
  ]);
  assert.equal(after.active[0], before.active[1]);
  assert.equal(after.active[1]!.url, "http://h:3/metrics");
  const relabelled = job.build([{ ...first, labels: { x: "y" } }]);
  assert.equal(relabelled.active[0]!.labels.get("x"), "y");
});

test("targets that differ in volatile labels only are one, said aloud, and the last is scraped", () => {
  const builder = new JobTargetBuilder(JOB, new VolatileLabels(["pod_uid"]));
  const pod = (uid: string, address = "h:1"): TargetGroup => ({
    source: uid,
    labels: { pod_uid: uid },
    targets: [{ __address__: address }],
  });
  const { active, errors } = builder.build([pod("1"), pod("2"), pod("1", "h:2")]);
  assert.deepEqual(
    active.map((target) => `${target.url} ${target.labels.get("pod_uid")}`),
    ["http://h:1/metrics 2", "http://h:2/metrics 1"],
  );
  assert.deepEqual(errors, [
    "http://h:1/metrics and http://h:1/metrics differ in ignored labels only (--target.ignore-labels): the second is scraped",
  ]);
  const later = builder.build([pod("3"), pod("1", "h:2")]);
  assert.deepEqual(later.errors, []);
  assert.deepEqual(
    later.active.map(({ hash }) => hash),
    active.map(({ hash }) => hash),
  );
});

test("whatever comes, goes and changes places, the targets are those of a builder that begins anew", () => {
  const labels = ["h:1", "h:2", "h:3", "a/b", "drop"].map((address) => ({ __address__: address }));
  const common = [{}, { x: "1" }];
  const [keep] = parseConfig(
    "scrape_configs: [{job_name: j, relabel_configs: [{source_labels: [__address__], regex: drop, action: drop}]}]",
    { path: "p", baseFolder: "/", environment: {} },
  ).scrapeConfigs;
  const groupArbitrary = fc.record({
    source: fc.constantFrom("a", "b"),
    labels: fc.constantFrom(...common),
    targets: fc.array(fc.constantFrom(...labels), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(
      fc.array(groupArbitrary, { minLength: 8, maxLength: 8 }),
      fc.array(fc.array(fc.nat({ max: 7 }), { maxLength: 10 }), { maxLength: 6 }),
      (pool, lists) => {
        const job = new JobTargetBuilder(keep!);
        for (const list of lists) {
          const groups = list.map((i) => pool[i]!);
          const built = job.build(groups);
          const fresh = new JobTargetBuilder(keep!).build(groups);
          const listed = (one: BuiltTargets): unknown => ({
            ...one,
            dropped: one.dropped(Infinity),
          });
          assert.deepEqual(listed(built), listed(fresh));
          assert.equal(built.dropped(Infinity).length, built.droppedCount);
          const again = job.build([...groups]);
          for (const [i, target] of again.active.entries()) assert.equal(target, built.active[i]);
        }
      },
    ),
    { numRuns: 300 },
  );
});
