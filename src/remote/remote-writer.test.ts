import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder, until } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { parseConfig } from "../config/load.ts";
import { formatSeries, Labels } from "../model/labels.ts";
import { newHistogram } from "../model/histogram.ts";
import {
  type Appendable,
  type AppendBatch,
  type AppendResult,
  NOTHING_APPENDED,
  type Refusal,
} from "../storage/appender.ts";
import { type Database, openDatabase } from "../tsdb/database.ts";
import { columns } from "../tsdb/testing/head-fixture.ts";
import { RemoteWriter } from "./remote-writer.ts";
import { SendPosition } from "./send-position.ts";
import { WriteReceiver } from "./write-receiver.ts";

const START = Date.now() - 60_000;

/** A receiver that takes all, or answers as it is told. */
class Remote implements Appendable {
  readonly stored: string[] = [];
  readonly batches: AppendBatch[] = [];
  readonly requests: Record<string, string>[] = [];
  /** Statuses to answer with instead of storing, and headers with them. */
  readonly answers: { status: number; headers?: Record<string, string> }[] = [];
  /** Refuse requests with samples that are there or older, as a whole. */
  isStrict = false;
  readonly #labels: Labels[] = [];
  readonly #newest = new Map<string, number>();

  resolve(labels: Labels): number {
    return this.#labels.push(labels) - 1;
  }

  async append(batch: AppendBatch): Promise<AppendResult> {
    if (this.isStrict) {
      const refused: Refusal[] = [];
      for (let index = 0; index < batch.count; index++) {
        const key = this.#labels[batch.refs[index]!]!.toString();
        if (batch.times[index]! <= (this.#newest.get(key) ?? 0))
          refused.push({ part: "float", index, reason: "out-of-order" });
      }
      if (refused.length > 0) return { ...NOTHING_APPENDED, refused };
      for (let i = 0; i < batch.count; i++)
        this.#newest.set(this.#labels[batch.refs[i]!]!.toString(), batch.times[i]!);
    }
    this.batches.push(batch);
    for (let i = 0; i < batch.count; i++)
      this.stored.push(
        `${formatSeries(this.#labels[batch.refs[i]!]!)} ${batch.values[i]}@${batch.times[i]! - START}`,
      );
    return { ...NOTHING_APPENDED, appended: batch.count };
  }

  async listen(): Promise<{ url: string; close: () => void }> {
    const receiver = new WriteReceiver({
      appendable: this,
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
    });
    const server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        this.requests.push(request.headers as Record<string, string>);
        const answer = this.answers.shift();
        if (answer !== undefined) {
          response.writeHead(answer.status, answer.headers).end("told to");
          return;
        }
        void receiver
          .receive({
            contentType: request.headers["content-type"],
            contentEncoding: request.headers["content-encoding"],
            body: Buffer.concat(parts),
          })
          .then(({ status, text, written }) => {
            if (written !== undefined)
              response.setHeader("X-Prometheus-Remote-Write-Samples-Written", written.samples);
            response.writeHead(status).end(text);
          });
      });
    });
    server.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/write`,
      close: () => {
        server.closeAllConnections();
        server.close();
      },
    };
  }
}

interface Sender {
  readonly database: Database;
  readonly writer: RemoteWriter;
  readonly registry: Registry;
  stop(): Promise<void>;
}

async function startSender(folder: string, yaml: string): Promise<Sender> {
  const registry = new Registry();
  const database = await openDatabase({
    folder,
    logger: silentLogger,
    clock: systemClock,
    registry,
    retentionMs: 86_400_000,
  });
  const writer = new RemoteWriter({
    folder,
    end: () => database.head.logEnd(),
    metadata: () => new Map([["a", { type: "counter", help: "All of them.", unit: "s" }]]),
    userAgent: "Shoal/test",
    clock: systemClock,
    logger: silentLogger,
    registry,
  });
  await writer.apply(parseConfig(yaml, { path: "test", baseFolder: "/" }));
  const sender: Sender = {
    database,
    writer,
    registry,
    async stop() {
      senders.delete(sender);
      await writer.stop();
      await database.close();
    },
  };
  senders.add(sender);
  return sender;
}

const yamlOf = (url: string, more = ""): string => `
global: {external_labels: {cluster: c}}
remote_write:
  - url: ${url}
    queue_config: {batch_send_deadline: 20ms, min_backoff: 5ms, max_backoff: 20ms, max_samples_per_send: 10}
${more}
`;

function append(
  { database }: Sender,
  rows: readonly (readonly [name: string, t: number, v: number])[],
): Promise<AppendResult> {
  return database.append(
    columns(
      rows.map(([name, t, v]) => [
        database.resolve(Labels.fromObject({ __name__: name })),
        START + t,
        v,
      ]),
    ),
  );
}

/** Senders that a test has not stopped; a failed one must not keep the process from ending. */
const senders = new Set<Sender>();

async function withRemote(
  act: (remote: Remote, url: string, folder: string) => Promise<void>,
): Promise<void> {
  const remote = new Remote();
  const { url, close } = await remote.listen();
  try {
    await act(remote, url, temporaryFolder("remote-write"));
  } finally {
    for (const sender of senders) await sender.stop();
    close();
  }
}

const holds = (remote: Remote, count: number): Promise<true> =>
  until(`${count} samples have arrived, not ${remote.stored.length}`, async () =>
    remote.stored.length >= count ? true : undefined,
  );

const metric = ({ registry }: Sender, name: string): number =>
  Number(new RegExp(`^${name}\\{[^}]*\\} (\\S+)`, "m").exec(registry.expose())?.[1]);

for (const message of ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"])
  test(`${message}: sends what is logged from now on, with external labels, in order`, async () => {
    await withRemote(async (remote, url, folder) => {
      const sender = await startSender(folder, yamlOf(url, `    protobuf_message: ${message}`));
      await append(sender, [
        ["a", 0, 1],
        ["b", 0, 2],
      ]);
      await append(sender, [
        ["a", 1, 3],
        ["b", 1, 4],
      ]);
      await holds(remote, 4);
      assert.deepEqual(remote.stored, [
        'a{cluster="c"} 1@0',
        'b{cluster="c"} 2@0',
        'a{cluster="c"} 3@1',
        'b{cluster="c"} 4@1',
      ]);
      if (message.endsWith("v2.Request"))
        assert.deepEqual(remote.batches[0]!.metadata?.[0]?.metadata, {
          type: "counter",
          help: "All of them.",
          unit: "s",
        });
      assert.equal(remote.requests[0]!["user-agent"], "Shoal/test");
      await sender.stop();
      assert.equal(metric(sender, "prometheus_remote_storage_samples_total"), 4);
    });
  });

test("after a restart it goes on where it was: nothing lost, nothing twice", async () => {
  await withRemote(async (remote, url, folder) => {
    let sender = await startSender(folder, yamlOf(url));
    await append(sender, [
      ["a", 0, 0],
      ["b", 0, 0],
    ]);
    await holds(remote, 2);
    await sender.stop();
    // Logged while nobody sends.
    const database = await openDatabase({
      folder,
      logger: silentLogger,
      clock: systemClock,
      registry: new Registry(),
      retentionMs: 86_400_000,
    });
    const ref = database.resolve(Labels.fromObject({ __name__: "a" }));
    await database.append(
      columns(Array.from({ length: 50 }, (_, i) => [ref, START + 1 + i, i] as const)),
    );
    await database.close();
    sender = await startSender(folder, yamlOf(url));
    await append(sender, [["a", 100, 100]]);
    await holds(remote, 53);
    await sender.stop();
    assert.equal(remote.stored.length, 53);
    assert.equal(new Set(remote.stored).size, 53);
    assert.equal(remote.stored[2], 'a{cluster="c"} 0@1');
    assert.equal(remote.stored[52], 'a{cluster="c"} 100@100');
  });
});

test("a request that was sent before a crash and is refused costs none of the samples that are new", async () => {
  await withRemote(async (remote, url, folder) => {
    remote.isStrict = true;
    let sender = await startSender(folder, yamlOf(url));
    for (let t = 1; t <= 12; t++)
      await append(sender, [
        ["a", t, t],
        ["b", t, t],
      ]);
    await holds(remote, 24);
    await sender.stop();
    // The process was killed after the answer and before it was noted.
    const [file] = readdirSync(join(folder, "remote"));
    const position = SendPosition.open(join(folder, "remote", file!));
    const { segment, ordinal } = position.places![0]!;
    position.reset(1, { segment, ordinal: ordinal - 7 });
    position.close();
    sender = await startSender(folder, yamlOf(url));
    await append(sender, [
      ["a", 13, 13],
      ["b", 13, 13],
      ["c", 13, 13],
    ]);
    await holds(remote, 27);
    assert.equal(remote.stored.length, 27);
    assert.equal(new Set(remote.stored).size, 27);
    await sender.stop();
    assert.equal(metric(sender, "prometheus_remote_storage_samples_failed_total"), 0);
  });
});

test("5xx is tried again, 4xx is given up, 429 as the configuration says", async () => {
  await withRemote(async (remote, url, folder) => {
    const sender = await startSender(folder, yamlOf(url));
    remote.answers.push({ status: 503 }, { status: 500, headers: { "retry-after": "0" } });
    await append(sender, [["a", 0, 1]]);
    await holds(remote, 1);
    assert.equal(metric(sender, "prometheus_remote_storage_samples_retried_total"), 2);
    assert.deepEqual(
      remote.requests.map((headers) => headers["retry-attempt"]),
      [undefined, "1", "2"],
    );
    for (const status of [400, 404, 429]) {
      const before = metric(sender, "prometheus_remote_storage_samples_failed_total");
      remote.answers.push({ status });
      await append(sender, [["a", status, 1]]);
      await until(`the sample is given up for ${status}`, async () =>
        metric(sender, "prometheus_remote_storage_samples_failed_total") === before + 1
          ? true
          : undefined,
      );
    }
    assert.equal(remote.stored.length, 1);
    await sender.stop();
  });
  await withRemote(async (remote, url, folder) => {
    const yaml = yamlOf(url).replace("{batch", "{retry_on_http_429: true, batch");
    const sender = await startSender(folder, yaml);
    remote.answers.push({ status: 429 });
    await append(sender, [["a", 0, 1]]);
    await holds(remote, 1);
    await sender.stop();
  });
});

test("a receiver that takes 2.0 for 1.0 is found out", async () => {
  await withRemote(async (remote, url, folder) => {
    const yaml = yamlOf(url, "    protobuf_message: io.prometheus.write.v2.Request");
    const sender = await startSender(folder, yaml);
    remote.answers.push({ status: 204 });
    await append(sender, [["a", 0, 1]]);
    await until("the sample counts as failed", async () =>
      metric(sender, "prometheus_remote_storage_samples_failed_total") === 1 ? true : undefined,
    );
    await sender.stop();
  });
});

test("write_relabel_configs drop and change series", async () => {
  await withRemote(async (remote, url, folder) => {
    const sender = await startSender(
      folder,
      yamlOf(
        url,
        `    write_relabel_configs:
      - {source_labels: [__name__], regex: secret, action: drop}
      - {source_labels: [__name__, cluster], regex: "(.*);c", target_label: __name__, replacement: "c:$1"}`,
      ),
    );
    await append(sender, [
      ["secret", 0, 1],
      ["a", 0, 2],
    ]);
    await holds(remote, 1);
    assert.deepEqual(remote.stored, ['c:a{cluster="c"} 2@0']);
    await sender.stop();
  });
});

test("a receiver that is away keeps nobody from writing; what waits arrives in order later", async () => {
  await withRemote(async (remote, url, folder) => {
    const yaml = yamlOf(url).replace("{batch", "{capacity: 20, batch");
    const sender = await startSender(folder, yaml);
    for (let i = 0; i < 200; i++) remote.answers.push({ status: 503 });
    for (let t = 0; t < 100; t++)
      await append(sender, [
        ["a", t, t],
        ["b", t, t],
      ]);
    assert.equal(remote.stored.length, 0);
    remote.answers.length = 0;
    await holds(remote, 200);
    const of = (name: string): string[] => remote.stored.filter((line) => line.startsWith(name));
    for (const name of ["a", "b"])
      assert.deepEqual(
        of(name),
        Array.from({ length: 100 }, (_, t) => `${name}{cluster="c"} ${t}@${t}`),
      );
    await sender.stop();
  });
});

test("several queues: every series in order, and each queue goes on where it was", async () => {
  await withRemote(async (remote, url, folder) => {
    const yaml = yamlOf(url).replace("{batch", "{min_shards: 3, batch");
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    const rows = (from: number, to: number): [string, number, number][] => {
      const all: [string, number, number][] = [];
      for (let t = from; t < to; t++) for (const name of names) all.push([name, t, t]);
      return all;
    };
    let sender = await startSender(folder, yaml);
    // One of the queues does not get through for a while.
    remote.answers.push({ status: 503 }, { status: 503 });
    await append(sender, rows(0, 20));
    await holds(remote, 140);
    await sender.stop();
    sender = await startSender(folder, yaml);
    await append(sender, rows(20, 30));
    await holds(remote, 210);
    await sender.stop();
    for (const name of names)
      assert.deepEqual(
        remote.stored.filter((line) => line.startsWith(name)),
        Array.from({ length: 30 }, (_, t) => `${name}{cluster="c"} ${t}@${t}`),
      );
  });
});

test("a changed configuration takes over where the one before stopped", async () => {
  await withRemote(async (remote, url, folder) => {
    const sender = await startSender(folder, yamlOf(url));
    await append(sender, [["a", 0, 0]]);
    await holds(remote, 1);
    const changed = yamlOf(url, "    write_relabel_configs: [{target_label: x, replacement: y}]");
    await Promise.all([
      sender.writer.apply(parseConfig(changed, { path: "test", baseFolder: "/" })),
      append(sender, [["a", 1, 1]]),
    ]);
    await append(sender, [["a", 2, 2]]);
    await holds(remote, 3);
    assert.equal(remote.stored[2], 'a{cluster="c", x="y"} 2@2');
    assert.equal(remote.stored.length, 3);
    await sender.writer.apply(parseConfig("", { path: "test", baseFolder: "/" }));
    await append(sender, [["a", 3, 3]]);
    await sender.stop();
    assert.equal(remote.stored.length, 3);
  });
});

test("histograms and exemplars are sent, to 1.0 when asked for", async () => {
  const histogram = newHistogram({
    schema: 1,
    count: 3,
    sum: 2.5,
    zeroThreshold: 0.5,
    positiveSpans: Int32Array.of(0, 1),
    positiveBuckets: Float64Array.of(3),
  });
  for (const more of [
    "    send_native_histograms: true\n    send_exemplars: true",
    "    protobuf_message: io.prometheus.write.v2.Request",
  ])
    await withRemote(async (remote, url, folder) => {
      const sender = await startSender(folder, yamlOf(url, more));
      const { database } = sender;
      database.head.setMaxExemplars(10);
      const ref = database.resolve(Labels.fromObject({ __name__: "h" }));
      await database.append({
        ...columns([]),
        histograms: {
          refs: Int32Array.of(ref),
          times: Float64Array.of(START),
          histograms: [histogram],
          isFloat: Uint8Array.of(0),
          count: 1,
        },
        exemplars: [
          {
            ref,
            exemplar: { labels: Labels.fromObject({ trace: "x" }), value: 1, timeMs: START },
          },
        ],
      });
      await until("both have arrived", async () =>
        remote.batches.some(({ histograms }) => histograms !== undefined) &&
        remote.batches.some(({ exemplars }) => exemplars !== undefined)
          ? true
          : undefined,
      );
      const got = remote.batches.find(({ histograms }) => histograms !== undefined)!.histograms!;
      assert.deepEqual(got.histograms[0], histogram);
      const exemplar = remote.batches.find(({ exemplars }) => exemplars !== undefined)!
        .exemplars![0]!;
      assert.equal(exemplar.exemplar.labels.get("trace"), "x");
      await sender.stop();
    });
});
