import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { test } from "node:test";
import { decodeXor, xorSampleCount } from "../src/chunk/xor.ts";
import { METRIC_NAME } from "../src/model/labels.ts";
import { createMatcher } from "../src/model/matcher.ts";
import { decodeFrames, encodeReadRequest, READ_HEADERS } from "../src/remote/read-answer.ts";
import {
  post,
  V1_HEADERS,
  V2_HEADERS,
  writeRequestV1,
  writeRequestV2,
} from "../src/remote/write-request.fixture.ts";
import {
  apiData,
  freePort,
  type RunningProcess,
  skipWithoutParts,
  sleep,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import { instant } from "./support/queries.ts";

/**
 * Remote write and remote read beside a real Prometheus, in both directions and both versions. Whoever receives is killed
 * and comes back; so is the shard that sends. Both sides must then hold exactly the same samples.
 */
const SERIES = 100;

async function startExporter(): Promise<{ server: Server; address: string }> {
  let scrapes = 0;
  const server = createServer((_, response) => {
    scrapes++;
    const lines = Array.from(
      { length: SERIES },
      (_line, i) => `work_total{i="${i}"} ${scrapes * (i + 1)}\n`,
    );
    response.setHeader("Content-Type", "text/plain; version=0.0.4").end(lines.join(""));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, address: `127.0.0.1:${address.port}` };
}

/** Every sample of a metric, the exporter's unless told otherwise, within a time range, by remote read, as text. */
async function samplesOf(
  url: string,
  range: { minTimeMs: number; maxTimeMs: number },
  metric = "work_total",
): Promise<string[]> {
  const matchers = [createMatcher(METRIC_NAME, "=", metric)];
  const response = await fetch(`${url}/api/v1/read`, {
    method: "POST",
    headers: READ_HEADERS,
    body: new Uint8Array(encodeReadRequest({ ...range, matchers })),
  });
  assert.equal(response.status, 200, url);
  const lines: string[] = [];
  for await (const batch of decodeFrames(response.body!))
    for (const { labels, chunks } of batch)
      for (const { data } of chunks) {
        const count = xorSampleCount(data);
        const times = new Float64Array(count);
        const values = new Float64Array(count);
        decodeXor(data, { times, values, offset: 0 });
        for (let k = 0; k < count; k++)
          if (times[k]! >= range.minTimeMs && times[k]! <= range.maxTimeMs)
            lines.push(`${labels.get("i")} ${times[k]} ${values[k]}`);
      }
  return lines.sort();
}

/** The two sides, once the receiver has all of the range. */
async function bothSides(
  sender: string,
  receiver: string,
  range: { minTimeMs: number; maxTimeMs: number },
): Promise<void> {
  const sent = await samplesOf(sender, range);
  assert.equal(new Set(sent).size, sent.length, "the sender has each sample once");
  const received = await until(
    `${receiver} has the ${sent.length} samples of ${sender}`,
    async () => {
      const lines = await samplesOf(receiver, range).catch(() => []);
      return lines.length >= sent.length ? lines : undefined;
    },
    30_000,
  );
  assert.deepEqual(received, sent);
}

async function kill(running: RunningProcess): Promise<void> {
  running.child.kill("SIGKILL");
  await once(running.child, "exit");
}

test(
  "shoal up takes what is written, and each replica group keeps it",
  { timeout: 120_000 },
  async () => {
    const shoal = await startShoal({
      args: [
        "up",
        "--shard.replicas=2",
        "--coordinator.interval=1s",
        "--web.enable-remote-write-receiver",
        "--web.enable-otlp-receiver",
      ],
      config: "",
    });
    try {
      const timeMs = Date.now() - 1000;
      const send = (value: number, headers: Record<string, string>): Promise<Response> => {
        const encode = headers === V1_HEADERS ? writeRequestV1 : writeRequestV2;
        const labels = [[METRIC_NAME, "written"]] as const;
        return post(shoal.url, encode([{ labels, samples: [[timeMs + value, value]] }]), headers);
      };
      assert.equal((await send(1, V1_HEADERS)).status, 204);
      const second = await send(2, V2_HEADERS);
      assert.equal(second.status, 204);
      assert.equal(second.headers.get("x-prometheus-remote-write-samples-written"), "1");
      assert.equal((await send(1, V1_HEADERS)).status, 400);
      const point = { asDouble: 3, timeUnixNano: `${timeMs}000000` };
      const metrics = [{ name: "measured", gauge: { dataPoints: [point] } }];
      const otlp = await fetch(`${shoal.url}/api/v1/otlp/v1/metrics`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
      });
      assert.equal(otlp.status, 200, await otlp.text());
      const query = encodeURIComponent("sum(written) + sum(measured)");
      // The query learns from when on a shard has samples.
      const sum = await until("the query finds what was written", async () => {
        const { result } = await apiData<{ result: { value: [number, string] }[] }>(
          `${shoal.url}/api/v1/query?query=${query}`,
        );
        return result[0]?.value[1];
      });
      assert.equal(sum, "5");
      const { shards } = await apiData<{ shards: { http: string; replica: string }[] }>(
        `${shoal.url}/api/v1/shards`,
      );
      assert.equal(new Set(shards.map(({ replica }) => replica)).size, 2);
      for (const { http } of shards) {
        const range = { minTimeMs: timeMs, maxTimeMs: timeMs + 10 };
        const held = await samplesOf(`http://${http}`, range, "written");
        assert.equal(held.length, 2, http);
      }
    } finally {
      await shoal.stop();
    }
  },
);

const QUEUE = "queue_config: {batch_send_deadline: 200ms, min_backoff: 30ms, max_backoff: 500ms}";
const V2 = "protobuf_message: io.prometheus.write.v2.Request";

test(
  "a real Prometheus writes to shards that are killed in between",
  { skip: skipWithoutParts(), timeout: 180_000 },
  async () => {
    const { server, address } = await startExporter();
    const running = new Set<RunningProcess>();
    try {
      const shards = await Promise.all(
        [0, 1].map(async () => {
          const port = await freePort();
          const args = [
            "shard",
            "--web.enable-remote-write-receiver",
            `--storage.tsdb.path=${temporaryFolder("remote-shard")}`,
            `--grpc.address=127.0.0.1:${await freePort()}`,
          ];
          const start = (): Promise<RunningProcess> => startShoal({ args, port });
          return { start, process: await start() };
        }),
      );
      for (const shard of shards) running.add(shard.process);
      const [v1, v2] = shards.map(({ process }) => `${process.url}/api/v1/write`);
      const startMs = Date.now();
      const prometheus = await startPrometheus({
        config: `
global: {scrape_interval: 1s, scrape_timeout: 900ms}
remote_write:
  - {url: "${v1}", ${QUEUE}}
  - {url: "${v2}", ${V2}, ${QUEUE}}
scrape_configs: [{job_name: work, static_configs: [{targets: ["${address}"]}]}]
`,
      });
      assert.ok(prometheus !== undefined);
      running.add(prometheus);
      for (const shard of shards) {
        await until("the first samples have arrived", async () => {
          const range = { minTimeMs: startMs, maxTimeMs: Date.now() };
          return (await samplesOf(shard.process.url, range)).length > 2 * SERIES ? true : undefined;
        });
        await kill(shard.process);
        running.delete(shard.process);
        await sleep(2500);
        shard.process = await shard.start();
        running.add(shard.process);
      }
      await sleep(3000);
      const range = { minTimeMs: startMs, maxTimeMs: Date.now() - 1000 };
      for (const shard of shards) await bothSides(prometheus.url, shard.process.url, range);
    } finally {
      await Promise.all([...running].map((each) => each.stop()));
      server.close();
    }
  },
);

test(
  "Shoal writes to real Prometheus servers, each of which may be killed; a real Prometheus reads from Shoal",
  { skip: skipWithoutParts(), timeout: 240_000 },
  async () => {
    const { server, address } = await startExporter();
    const running = new Set<RunningProcess>();
    try {
      const receivers = await Promise.all(
        [0, 1].map(async () => {
          const port = await freePort();
          const dataFolder = temporaryFolder("remote-receiver");
          const start = async (): Promise<RunningProcess> => {
            const flags = ["--web.enable-remote-write-receiver"];
            const started = await startPrometheus({ config: "", port, dataFolder, flags });
            assert.ok(started !== undefined);
            return started;
          };
          return { start, process: await start() };
        }),
      );
      for (const receiver of receivers) running.add(receiver.process);
      const [v1, v2] = receivers.map(({ process }) => `${process.url}/api/v1/write`);
      const startMs = Date.now();
      const shoal = await startShoal({
        args: ["up", "--shard.max-shard=1", "--coordinator.interval=1s"],
        config: `
global: {scrape_interval: 1s, scrape_timeout: 900ms}
remote_write:
  - {url: "${v1}", ${QUEUE}}
  - {url: "${v2}", ${V2}, ${QUEUE}}
scrape_configs: [{job_name: work, static_configs: [{targets: ["${address}"]}]}]
`,
      });
      running.add(shoal);
      const arrived = async (url: string, count: number): Promise<true> =>
        until(`${count} samples have arrived`, async () => {
          const range = { minTimeMs: startMs, maxTimeMs: Date.now() };
          const lines = await samplesOf(url, range).catch(() => []);
          return lines.length >= count ? true : undefined;
        });
      const shardPid = async (): Promise<number> =>
        (await apiData<{ shards: { pid: number }[] }>(`${shoal.url}/api/v1/shards`)).shards[0]!.pid;
      let round = 3;
      for (const receiver of receivers) {
        await arrived(receiver.process.url, round * SERIES);
        // First who receives, then who sends.
        await kill(receiver.process);
        running.delete(receiver.process);
        await sleep(2500);
        receiver.process = await receiver.start();
        running.add(receiver.process);
        await arrived(receiver.process.url, (round += 3) * SERIES);
        const before = await shardPid();
        process.kill(before, "SIGKILL");
        await until("another shard is there", async () =>
          (await shardPid().catch(() => before)) === before ? undefined : true,
        );
      }
      await arrived(receivers[1]!.process.url, (round + 3) * SERIES);
      await sleep(2000);
      const range = { minTimeMs: startMs, maxTimeMs: Date.now() - 1000 };
      for (const receiver of receivers) await bothSides(shoal.url, receiver.process.url, range);

      const reader = await startPrometheus({
        config: `remote_read: [{url: "${shoal.url}/api/v1/read", read_recent: true}]`,
      });
      assert.ok(reader !== undefined);
      running.add(reader);
      const timeSeconds = Math.floor(Date.now() / 1000) - 1;
      for (const query of [
        "work_total",
        "sum(rate(work_total[10s]))",
        'count_over_time(work_total{i=~"1.*"}[1m])',
        "max by (instance) (work_total) - min by (instance) (work_total)",
      ])
        assert.deepEqual(
          await instant(reader.url, query, timeSeconds),
          await instant(shoal.url, query, timeSeconds),
          query,
        );
      assert.equal((await instant(reader.url, "work_total", timeSeconds)).length, SERIES);
    } finally {
      await Promise.all([...running].map((each) => each.stop()));
      server.close();
    }
  },
);
