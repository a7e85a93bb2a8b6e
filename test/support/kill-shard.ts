/**
 * Kills a scraping shard with -9 again and again, and looks whether anything it had stored is lost or stored twice.
 *
 * The exporter answers scrape n with the value n on every series, so every stored sample tells which scrape it is from.
 * What a query saw before a kill was committed, so it must be there after the restart: once, at the same time, on all
 * series alike.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { type Random, randomInt, seededRandom } from "../../src/base/random.ts";
import { apiData, type RunningProcess, sleep, startShoal, until } from "./processes.ts";

const SERIES = 300;
const INTERVAL_MS = 100;
/** A kill comes this long after the shard scrapes again, at random within the range. */
const ALIVE_MIN_MS = 150;
const ALIVE_MAX_MS = 900;

type Point = readonly [number, string];

export async function killShard(options: { kills: number; seed: number }): Promise<void> {
  const random = seededRandom(options.seed);
  let scrapes = 0;
  const exporter = createServer((_request, response) => {
    scrapes++;
    let body = "";
    for (let i = 0; i < SERIES; i++) body += `kill_scrape{series="${i}"} ${scrapes}\n`;
    response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4" }).end(body);
  });
  exporter.listen(0, "127.0.0.1");
  await once(exporter, "listening");
  const address = exporter.address();
  assert.ok(address !== null && typeof address !== "string");
  const config = `global: { scrape_interval: ${INTERVAL_MS}ms, scrape_timeout: ${INTERVAL_MS}ms }
scrape_configs: [{ job_name: kill, static_configs: [{ targets: ["127.0.0.1:${address.port}"] }] }]
`;
  let shoal: RunningProcess | undefined;
  try {
    shoal = await startShoal({
      args: ["up", "--coordinator.interval=1s", "--log.level=error"],
      config,
    });
    let stored = await until("the first scrapes are stored", () => newSamples(shoal!, 0));
    for (let kill = 0; kill < options.kills; kill++)
      stored = await killOnce({ shoal, stored, random });
    // What a kill may cost is the scrapes while the shard is down, nothing else.
    assert.ok(
      stored.length > 2 * options.kills,
      `${stored.length} scrapes stored over ${options.kills} kills`,
    );
  } finally {
    await shoal?.stop();
    exporter.closeAllConnections();
    exporter.close();
  }
}

/** One kill and recovery; the samples stored afterwards. */
async function killOnce(state: {
  shoal: RunningProcess;
  stored: readonly Point[];
  random: Random;
}): Promise<readonly Point[]> {
  const { shoal, random } = state;
  await sleep(ALIVE_MIN_MS + randomInt(random, ALIVE_MAX_MS - ALIVE_MIN_MS));
  const before = await samples(shoal);
  assertContains(before, state.stored);
  const pid = await shardPid(shoal);
  process.kill(pid, "SIGKILL");
  await until("another process is the shard", async () => {
    const other = await shardPid(shoal).catch(() => 0);
    return other !== 0 && other !== pid ? true : undefined;
  });
  const after = await until("the shard scrapes again", () => newSamples(shoal, before.length));
  assertContains(after, before);
  const values = after.map(([, value]) => value);
  assert.equal(new Set(values).size, values.length, "no scrape is stored twice");
  const uneven = await apiData<{ result: unknown[] }>(
    `${shoal.url}/api/v1/query?query=${encodeURIComponent('count(count_values("samples", count_over_time(kill_scrape[1h]))) > 1')}`,
  );
  assert.deepEqual(uneven.result, [], "every scrape is stored on all series or on none");
  return after;
}

function assertContains(now: readonly Point[], earlier: readonly Point[]): void {
  const stored = new Map(now);
  for (const [time, value] of earlier)
    assert.equal(stored.get(time), value, `the sample of scrape ${value} at ${time} is there`);
}

async function shardPid(shoal: RunningProcess): Promise<number> {
  const { shards } = await apiData<{ shards: { pid: number }[] }>(`${shoal.url}/api/v1/shards`);
  return shards[0]?.pid ?? 0;
}

/** All stored samples once there are more than `count`; undefined until then. */
async function newSamples(
  shoal: RunningProcess,
  count: number,
): Promise<readonly Point[] | undefined> {
  const all = await samples(shoal).catch(() => []);
  return all.length > count + 2 ? all : undefined;
}

async function samples(shoal: RunningProcess): Promise<readonly Point[]> {
  const query = 'kill_scrape{series="0"}[1h]';
  const { result } = await apiData<{ result: { values: Point[] }[] }>(
    `${shoal.url}/api/v1/query?query=${encodeURIComponent(query)}`,
  );
  // Staleness markers of a drained shard are not samples of a scrape.
  return result[0]?.values ?? [];
}
