import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { DecisionLog, hideSecrets, type LoggedDecision } from "./decision-log.ts";
import type { Decision, Observed } from "./plan-types.ts";

function moved(hash: string, reason = "r"): Decision {
  return { kind: "moved", hash, job: "m", url: `http://${hash}/metrics`, reason };
}

function living(hashes: readonly string[], heldJobs: readonly string[] = []): Observed {
  return {
    targets: hashes.map((hash) => ({
      hash,
      job: "m",
      url: "",
      explored: "pending",
      load: undefined,
    })),
    heldJobs: new Set(heldJobs),
    shards: [],
    desiredShards: 0,
  };
}

function ids(entries: readonly LoggedDecision[]): number[] {
  return entries.map(({ id }) => id);
}

test("answers by target, newest first, and keeps the last decision of each living target", () => {
  const log = new DecisionLog(3);
  log.add([moved("a", "first"), moved("a", "second"), moved("b")], 1);
  log.add([moved("c"), moved("c"), moved("c")], 2);
  assert.deepEqual(ids(log.after(0, 100)), [4, 5, 6]);
  assert.deepEqual(ids(log.about("c")), [6, 5, 4]);
  assert.deepEqual(
    log.about("a").map(({ reason }) => reason),
    ["second"],
  );
  log.forgetGone(living(["a"]));
  assert.deepEqual(ids(log.about("a")), [2]);
  assert.deepEqual(log.about("b"), [], "b lives no more");
  assert.deepEqual(ids(log.all()), [2, 4, 5, 6]);
  log.add([moved("a")], 3);
  assert.deepEqual(ids(log.about("a")), [7], "a newer one replaces what was kept");
});

test("a held job's targets are not forgotten though discovery does not list them", () => {
  const log = new DecisionLog(1);
  log.add([moved("a"), moved("b")], 1);
  log.forgetGone(living([], ["m"]));
  assert.deepEqual(ids(log.about("a")), [1]);
  log.forgetGone(living([]));
  assert.deepEqual(log.about("a"), []);
  assert.deepEqual(ids(log.about("b")), [2], "the ring keeps what is in it");
});

test("the operator's marks on shards outlast the ring and a restart", () => {
  const log = new DecisionLog(2);
  const mark = (kind: "drain" | "undrain", from: string): void =>
    void log.add([{ kind, from, reason: "asked" }], 1);
  mark("drain", "shard-0");
  mark("drain", "shard-1");
  mark("undrain", "shard-1");
  log.add([moved("a"), moved("b"), moved("c")], 2);
  log.forgetGone(living([]));
  assert.deepEqual([...log.drained()], ["shard-0"]);
  const restored = new DecisionLog(2);
  restored.restore(log.all());
  assert.deepEqual([...restored.drained()], ["shard-0"]);
  mark("undrain", "shard-0");
  assert.deepEqual([...log.drained()], []);
});

test("readers page by id, and a restored log counts on", () => {
  const log = new DecisionLog(10);
  log.add([moved("a"), moved("b"), moved("c")], 1);
  assert.deepEqual(ids(log.after(1, 10)), [2, 3]);
  assert.deepEqual(ids(log.after(0, 2)), [2, 3]);
  assert.deepEqual(log.after(3, 10), []);
  const next = new DecisionLog(10);
  next.restore([...log.all(), ...log.all()]);
  assert.deepEqual(next.all(), log.all());
  next.add([moved("a")], 2);
  assert.deepEqual(ids(next.about("a")), [4, 1]);
});

test("what looks like a secret in a URL is not kept", () => {
  assert.equal(hideSecrets("http://a:9100/metrics"), "http://a:9100/metrics");
  assert.equal(hideSecrets("https://me:pw@a/m?x=1"), "https://<secret>@a/m?x=1");
  assert.equal(
    hideSecrets("http://a/m?module=x&access_token=abc&API-Key=k%20y&b=2"),
    "http://a/m?module=x&access_token=<secret>&API-Key=<secret>&b=2",
  );
  const [entry] = new DecisionLog(1).add(
    [{ kind: "assign", url: "http://a/?token=abc", reason: "" }],
    1,
  );
  assert.equal(entry?.url, "http://a/?token=<secret>");
});

const HASHES: string[] = Array.from("abcdefgh");

/** What the log must hold, found the slow way from everything that ever happened. */
class Model {
  readonly everything: LoggedDecision[] = [];
  readonly capacity: number;

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  about(hash: string): number[] {
    const ring = this.everything.slice(-this.capacity).filter((entry) => entry.hash === hash);
    const last = this.everything.findLast((entry) => entry.hash === hash);
    const shown = ring.length > 0 ? ring : last === undefined ? [] : [last];
    return ids(shown.toReversed());
  }
}

test("property: the log is the ring and the last decision of each living target, within its bound", () => {
  const hash = fc.constantFrom(...HASHES);
  const step = fc.record({
    decided: fc.array(hash, { maxLength: 6 }),
    alive: fc.subarray(HASHES),
  });
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 8 }),
      fc.array(step, { maxLength: 30 }),
      (capacity, steps) => {
        const log = new DecisionLog(capacity);
        const model = new Model(capacity);
        const forgotten = new Set<string>();
        for (const { decided, alive } of steps) {
          // Only living targets are decided about.
          const hashes = decided.filter((each) => alive.includes(each));
          model.everything.push(
            ...log.add(
              hashes.map((each) => moved(each)),
              1,
            ),
          );
          log.forgetGone(living(alive));
          for (const each of HASHES) {
            if (hashes.includes(each)) forgotten.delete(each);
            const isInRing = model.everything.slice(-capacity).some((entry) => entry.hash === each);
            if (!alive.includes(each) && !isInRing) forgotten.add(each);
            assert.deepEqual(ids(log.about(each)), forgotten.has(each) ? [] : model.about(each));
          }
          assert.ok(log.all().length <= capacity + alive.length);
          const restored = new DecisionLog(capacity);
          restored.restore(log.all());
          assert.deepEqual(restored.all(), log.all());
        }
      },
    ),
  );
});
