/**
 * Kills and pauses the leading one of two coordinators, over and over, and records what shards took from whom.
 *
 *     coordinator a ──► recorder a0, a1 ──┐
 *                                         ├──► shard 0, shard 1 ──► two exporters
 *     coordinator b ──► recorder b0, b1 ──┘
 */
import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import { join } from "node:path";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { EPOCH_HEADER } from "../../src/shard/wire.ts";
import { freePort, type RunningProcess, sleep, startShoal, until } from "./processes.ts";
import { type RecordedJob, startRecordedJob } from "./recording-exporter.ts";

const SHARDS = 2;
const INTERVAL_MS = 1_000;
/** How long a leader is left alone at most before the next blow. */
const REST_MS = 3_000;
/** After it nobody waits any longer for another leader. */
const NO_LEADER_MS = 60_000;

export interface LeaderFigures {
  readonly kills: number;
  readonly pauses: number;
  readonly epochs: number;
  /** Epochs under which shards took orders from more than one process. */
  readonly sharedEpochs: number;
  /** Calls a shard took although it had taken one of a later epoch. */
  readonly lateCalls: number;
  /** Calls of former leaders that shards refused. */
  readonly refusedCalls: number;
  readonly longestFailoverMs: number;
  /** Longest time between the starts of two scrapes of one target, at an interval of a second. */
  readonly longestScrapeGapMs: number;
}

/** What shards took, by whom it was asked. */
class CallRecord {
  /** Epoch to the processes that acted under it. */
  readonly actors = new Map<number, Set<string>>();
  readonly latest = Array.from({ length: SHARDS }, () => 0);
  lateCalls = 0;
  refusedCalls = 0;

  add(call: { shard: number; epoch: number; actor: string; status: number }): void {
    const { shard, epoch, actor, status } = call;
    if (status >= 300) {
      this.refusedCalls++;
      return;
    }
    const latest = this.latest[shard]!;
    if (epoch < latest) this.lateCalls++;
    else this.latest[shard] = epoch;
    const known = this.actors.get(epoch) ?? new Set();
    this.actors.set(epoch, known.add(actor));
  }

  /** The epoch that all shards have heard of; 0 while they differ. */
  get common(): number {
    return new Set(this.latest).size === 1 ? this.latest[0]! : 0;
  }
}

/** Passes calls on to a shard and tells what became of those that carry an epoch. */
async function startRecorder(
  shardUrl: string,
  onCall: (epoch: number, status: number) => void,
): Promise<Server & { url: string }> {
  const server = createServer((incoming, answer) => {
    const { method, url: path = "/", headers } = incoming;
    const passed = request(new URL(path, shardUrl), { method, headers, agent: false }, (reply) => {
      const epoch = headers[EPOCH_HEADER];
      const status = reply.statusCode ?? 0;
      if (typeof epoch === "string") onCall(Number(epoch), status);
      answer.writeHead(status, reply.headers);
      reply.pipe(answer);
    });
    passed.on("error", () => answer.destroy());
    incoming.pipe(passed);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address !== "object") throw new Error("no address");
  return Object.assign(server, { url: `http://127.0.0.1:${address.port}` });
}

/** One of the two, through its deaths. */
class Coordinator {
  readonly #name: string;
  readonly #args: readonly string[];
  readonly #port: number;
  #starts = 0;
  #process: RunningProcess | undefined;

  constructor(name: string, port: number, args: readonly string[]) {
    this.#name = name;
    this.#port = port;
    this.#args = args;
  }

  /** The process that acts now. */
  get actor(): string {
    return `${this.#name}${this.#starts}`;
  }

  async start(): Promise<void> {
    this.#starts++;
    this.#process = await startShoal({ port: this.#port, args: this.#args });
  }

  signal(name: NodeJS.Signals): void {
    this.#process?.child.kill(name);
  }

  async dead(): Promise<void> {
    await this.#process?.stop();
  }
}

export async function killLeaders(options: {
  readonly rounds: number;
  readonly seed: number;
}): Promise<LeaderFigures> {
  const job = await startRecordedJob("leader-deaths", { count: 2 });
  const closing: (() => Promise<void> | void)[] = [() => job.close()];
  try {
    return await run(job, options, (close) => closing.push(close));
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

async function run(
  job: RecordedJob,
  { rounds, seed }: { rounds: number; seed: number },
  onClose: (close: () => Promise<void> | void) => void,
): Promise<LeaderFigures> {
  const random = seededRandom(seed);
  const shards: RunningProcess[] = [];
  for (let i = 0; i < SHARDS; i++) {
    const folder = join(job.folder, `shard-${i}`);
    const args = [`--shard.id=shard-${i}`, `--storage.tsdb.path=${folder}`];
    const shard = await startShoal({ args: ["shard", ...args, "--grpc.address=127.0.0.1:0"] });
    onClose(() => shard.stop());
    shards.push(shard);
  }
  const calls = new CallRecord();
  const coordinators: Coordinator[] = [];
  for (const name of ["a", "b"]) {
    const urls: string[] = [];
    for (const [shard, { url }] of shards.entries()) {
      const recorder = await startRecorder(url, (epoch, status) =>
        calls.add({ shard, epoch, status, actor: coordinator.actor }),
      );
      onClose(() => {
        recorder.closeAllConnections();
        recorder.close();
      });
      urls.push(`--shard.url=${recorder.url}`);
    }
    const coordinator: Coordinator = new Coordinator(name, await freePort(), [
      "coordinator",
      `--config.file=${job.configFile}`,
      ...urls,
      `--leader-election.folder=${join(job.folder, "lease")}`,
      "--coordinator.interval=1s",
    ]);
    onClose(() => coordinator.dead());
    coordinators.push(coordinator);
    await coordinator.start();
  }
  await until("both targets are scraped", async () =>
    job.exporters.every(({ requests }) => requests.length > 5) ? true : undefined,
  );
  const fromMs = performance.now();
  let kills = 0;
  let longestFailoverMs = 0;
  for (let round = 0; round < rounds; round++) {
    await sleep(randomInt(random, REST_MS));
    const before = await until("all shards have one leader", async () => calls.common || undefined);
    const leader = coordinators.find(({ actor }) => calls.actors.get(before)!.has(actor))!;
    const isKill = randomInt(random, 2) === 0;
    const startMs = performance.now();
    leader.signal(isKill ? "SIGKILL" : "SIGSTOP");
    await until(
      "another one leads",
      async () => (calls.common > before ? true : undefined),
      NO_LEADER_MS,
    );
    longestFailoverMs = Math.max(longestFailoverMs, performance.now() - startMs);
    if (isKill) {
      kills++;
      await leader.dead();
      await leader.start();
    } else leader.signal("SIGCONT");
    if ((round + 1) % 10 === 0) console.log(`${round + 1} of ${rounds} rounds`);
  }
  const toMs = performance.now();
  return {
    kills,
    pauses: rounds - kills,
    epochs: calls.actors.size,
    sharedEpochs: [...calls.actors.values()].filter(({ size }) => size > 1).length,
    lateCalls: calls.lateCalls,
    refusedCalls: calls.refusedCalls,
    longestFailoverMs: Math.round(longestFailoverMs),
    longestScrapeGapMs: Math.round(longestGap(job, fromMs, toMs)),
  };
}

function longestGap({ exporters }: RecordedJob, fromMs: number, toMs: number): number {
  let longest = 0;
  for (const { requests } of exporters) {
    let before = fromMs;
    for (const { timeMs } of requests) {
      if (timeMs < fromMs || timeMs > toMs) continue;
      longest = Math.max(longest, timeMs - before);
      before = timeMs;
    }
    longest = Math.max(longest, toMs - before - INTERVAL_MS);
  }
  return longest;
}
