import { plainHttpClient } from "../config/plain-http-client.ts";
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { FakeKubernetes } from "../../test/support/fake-kubernetes.ts";
import type { Clock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { seededRandom } from "../base/random.ts";
import { createHttpClient } from "../http/client.ts";
import { KubeClient, type Selection } from "./client.ts";
import { ListWatch } from "./list-watch.ts";
import { PODS } from "./resources.ts";

/** Time that jumps over every wait: `waits` says how long they would have been. */
class JumpingClock implements Clock {
  readonly waits: number[] = [];
  #now = 1_000_000;

  now(): number {
    return this.#now;
  }
  monotonic(): number {
    return this.#now;
  }
  after(): () => void {
    return () => {};
  }
  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    this.waits.push(delayMs);
    this.#now += delayMs;
    // Lets sockets work, so that a loop of failures does not starve the test.
    return new Promise((resolve, reject) =>
      setTimeout(() => {
        if (signal?.aborted === true) reject(signal.reason as Error);
        else resolve();
      }, 1),
    );
  }
}

/** A running ListWatch of pods, projected to their label `v`, and what it told. */
class Followed {
  readonly clock = new JumpingClock();
  readonly told: string[] = [];
  readonly listWatch: ListWatch<string>;
  #changed = Promise.withResolvers<void>();

  constructor(t: TestContext, fake: FakeKubernetes, selection: Selection = {}) {
    const client = new KubeClient({
      connection: {
        server: fake.url,
        namespace: "default",
        httpClient: plainHttpClient(),
        credentials: undefined,
      },
      createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
    });
    this.listWatch = new ListWatch<string>({
      client,
      type: PODS,
      ...selection,
      project: (object) => object.metadata.labels?.["v"] ?? "",
      clock: this.clock,
      random: seededRandom(1),
      logger: silentLogger,
    });
    this.listWatch.subscribe({
      changed: (key, value) => this.#tell(`${key}=${value}`),
      deleted: (key) => this.#tell(`-${key}`),
      listed: () => this.#tell("listed"),
      troubled: (error) => this.#tell(error === undefined ? "well" : `trouble: ${error}`),
    });
    const stopping = new AbortController();
    const done = this.listWatch.run(stopping.signal);
    t.after(async () => {
      stopping.abort();
      await done;
      await client.close();
    });
  }

  #tell(text: string): void {
    this.told.push(text);
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Waits until `line` has been told, and gives everything told up to it and forgets that. */
  async until(line: string | RegExp): Promise<string[]> {
    for (;;) {
      const at = this.told.findIndex((one) =>
        typeof line === "string" ? one === line : line.test(one),
      );
      if (at !== -1) return this.told.splice(0, at + 1);
      await this.#changed.promise;
    }
  }
}

async function start(t: TestContext): Promise<FakeKubernetes> {
  const fake = await FakeKubernetes.start();
  t.after(() => fake.stop());
  return fake;
}

function pod(name: string, v = "1"): Parameters<FakeKubernetes["put"]>[1] {
  return { metadata: { name, namespace: "a", labels: { v } } };
}

function listCount(fake: FakeKubernetes): number {
  return fake.accesses.filter(({ verb }) => verb === "list").length;
}

test("what exists is told, then what changes", async (t) => {
  const fake = await start(t);
  fake.put("pods", pod("x"));
  fake.put("pods", pod("y"));
  const followed = new Followed(t, fake);
  assert.deepEqual(await followed.until("listed"), ["a/x=1", "a/y=1", "listed"]);
  fake.put("pods", pod("z"));
  fake.put("pods", pod("x", "2"));
  fake.remove("pods", "y", "a");
  assert.deepEqual(await followed.until("-a/y"), ["a/z=1", "a/x=2", "-a/y"]);
  assert.deepEqual(
    [...followed.listWatch.entries()],
    [
      ["a/x", "2"],
      ["a/z", "1"],
    ],
  );
  assert.equal(followed.listWatch.size, 2);
});

test("a watch that ends or is cut goes on from where it was, without listing", async (t) => {
  const fake = await start(t);
  const followed = new Followed(t, fake);
  await followed.until("listed");
  for (const how of ["end", "cut", "end"] as const) {
    await fake.watching(1);
    fake.dropWatches(how);
    // While nobody watches.
    fake.put("pods", pod(how, String(fake.store.version)));
    await followed.until(new RegExp(`^a/${how}=`));
  }
  assert.equal(listCount(fake), 1);
});

test("a version that is gone leads to one list, which tells what is new and what is missing", async (t) => {
  const fake = await start(t);
  fake.put("pods", pod("kept"));
  fake.put("pods", pod("gone"));
  const followed = new Followed(t, fake);
  await followed.until("listed");
  await fake.watching(1);
  fake.dropWatches();
  fake.remove("pods", "gone", "a");
  fake.put("pods", pod("new"));
  fake.compact();
  const told = await followed.until("listed");
  assert.deepEqual(
    told.filter((line) => line.includes("a/")),
    ["a/new=1", "-a/gone"],
    "what did not change is not told again",
  );
  assert.equal(listCount(fake), 2);
  assert.ok(
    followed.clock.waits.some((wait) => wait > 5000),
    "the second list came sooner than 10 s after the first",
  );
});

test("bookmarks move the version on, so that a compacted history does not lead to a list", async (t) => {
  const fake = await start(t);
  const followed = new Followed(t, fake);
  await followed.until("listed");
  await fake.watching(1);
  fake.compact();
  fake.sendBookmarks();
  fake.dropWatches("end");
  fake.put("pods", pod("x"));
  await followed.until("a/x=1");
  assert.equal(listCount(fake), 1);
});

test("while the server fails everything known stands, with ever longer waits, and then it goes on", async (t) => {
  const fake = await start(t);
  fake.put("pods", pod("x"));
  const followed = new Followed(t, fake);
  await followed.until("listed");
  await fake.watching(1);
  fake.fail({ action: { status: 500 }, times: 8 });
  fake.dropWatches("end");
  const told = await followed.until("well");
  assert.match(told[0]!, /^trouble: cannot watch pods: injected by the test/);
  assert.ok(told.every((line) => !line.startsWith("-")));
  assert.equal(followed.listWatch.get("a/x"), "1");
  const waits = followed.clock.waits.filter((wait) => wait !== 1000);
  assert.equal(waits.length, 8);
  assert.ok(waits[0]! < 1500 && waits[7]! > 15_000 && waits[7]! <= 45_000, String(waits));
});

test("a list that breaks off half-way deletes nothing", async (t) => {
  const fake = await start(t);
  for (let i = 0; i < 1200; i++) fake.put("pods", pod(`p${i}`));
  const followed = new Followed(t, fake);
  await followed.until("listed");
  assert.equal(followed.listWatch.size, 1200);
  await fake.watching(1);
  let pages = 0;
  fake.fail({ matches: ({ verb }) => verb === "list" && ++pages === 2, action: { status: 500 } });
  fake.dropWatches();
  fake.remove("pods", "p1199", "a");
  fake.compact();
  const told = await followed.until("listed");
  assert.ok(told.some((line) => line.startsWith("trouble: cannot list pods")));
  assert.deepEqual(
    told.filter((line) => line.includes("a/")),
    ["-a/p1199"],
  );
  assert.equal(followed.listWatch.size, 1199);
});

test("an error inside the stream other than 410 leads to a list, too", async (t) => {
  const fake = await start(t);
  const followed = new Followed(t, fake);
  await followed.until("listed");
  await fake.watching(1);
  fake.put("pods", pod("x"));
  await followed.until("a/x=1");
  fake.breakWatches({ code: 500, reason: "InternalError", message: "etcdserver: lost" });
  await followed.until("trouble: cannot watch pods: etcdserver: lost (InternalError)");
  await followed.until("listed");
  assert.equal(listCount(fake), 2);
});

test("a server that is not there at first is waited for", async (t) => {
  const fake = await start(t);
  fake.put("pods", pod("x"));
  fake.fail({ action: "cut", times: 4 });
  const followed = new Followed(t, fake);
  const told = await followed.until("listed");
  assert.match(told[0]!, /^trouble: Get "http.*EOF|reset/);
  assert.deepEqual(told.slice(-3), ["a/x=1", "well", "listed"]);
});

test("a forbidden list names the verb to grant", async (t) => {
  const fake = await start(t);
  fake.fail({ action: { status: 403 } });
  const followed = new Followed(t, fake, { namespace: "a" });
  const told = await followed.until("listed");
  assert.match(told[0]!, /grant the verb "list" on "pods" by a Role/);
});
