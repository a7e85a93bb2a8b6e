/**
 * The same samples in one head, on three shards, moved between shards, on two replicas with gaps, in blocks and behind remote
 * read, and evaluated in threads: every query is answered with the same bits, whoever has the samples.
 */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { temporaryFolder } from "../../test/support/processes.ts";
import { AppError } from "../base/errors.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import { createGrpcServer } from "../grpc/server.ts";
import { Labels } from "../model/labels.ts";
import { Engine, type QueryEngine } from "../promql/engine.ts";
import { INTERVAL_MS, START_MS } from "../promql/testing/float-data.ts";
import { QueryGenerator } from "../promql/testing/float-queries.ts";
import {
  appendAll,
  createMixedData,
  type MixedSeries,
} from "../promql/testing/mixed-data.fixture.ts";
import type { WrittenSample } from "../promql/testing/remote-write.fixture.ts";
import { HistogramQueryGenerator } from "../promql/testing/histogram-queries.ts";
import { WorkerEngine } from "../promql/worker-engine.ts";
import { EndpointSet } from "../query/endpoint-set.ts";
import { FanoutQueryable } from "../query/fanout.ts";
import { PrometheusClient } from "../sidecar/prometheus-client.ts";
import { PrometheusQueryable } from "../sidecar/prometheus-queryable.ts";
import type { Queryable } from "../storage/queryable.ts";
import { createStoreServices } from "../store/store-server.ts";
import { type Database, openDatabase } from "../tsdb/database.ts";
import { stoppedClock } from "../tsdb/testing/head-fixture.ts";
import { renderQueryResult } from "./query/render.ts";
import { startReader } from "./remote-read.fixture.ts";

const SEED = Number(process.env["SHOAL_FUZZ_SEED"] ?? 1);
/** Of floats and of histograms each. */
const QUERIES = Number(process.env["SHOAL_SAME_QUERIES"] ?? 200);
const SHARDS = 3;
const HOUR_MS = 3_600_000;

class Systems {
  readonly #closing: (() => Promise<unknown>)[] = [];

  async close(): Promise<void> {
    for (const close of this.#closing.reverse()) await close();
  }

  /** A database with the samples that `keeps` lets through. */
  async database(
    data: readonly MixedSeries[],
    options: {
      keeps?: (sample: WrittenSample, labels: Labels) => boolean;
      chunkRangeMs?: number;
    } = {},
  ): Promise<Database> {
    const { keeps = () => true } = options;
    const folder = temporaryFolder("same-answers");
    this.#closing.push(async () => rmSync(folder, { recursive: true }));
    const database = await openDatabase({
      folder,
      logger: silentLogger,
      clock: stoppedClock(START_MS + 2 * HOUR_MS),
      registry: new Registry(),
      retentionMs: 1e12,
      ...(options.chunkRangeMs !== undefined && { chunkRangeMs: options.chunkRangeMs }),
    });
    this.#closing.push(() => database.close());
    const kept = data.map(({ labels, samples }) => ({
      labels,
      samples: samples.filter((sample) => keeps(sample, labels)),
    }));
    await appendAll(database, kept);
    return database;
  }

  /** What a query process reads from stores with these databases. */
  async fanout(
    stores: readonly { database: Queryable; external?: Record<string, string> }[],
    replicaLabels: readonly string[] = [],
  ): Promise<Queryable> {
    const addresses: string[] = [];
    for (const { database, external = {} } of stores) {
      const server = createGrpcServer({
        port: 0,
        graceMs: 0,
        services: createStoreServices({
          queryable: database,
          externalLabels: () => Labels.fromObject(external),
          minTimeMs: () => 0,
          maxTimeMs: () => 2 ** 63,
          ready: () => true,
        }),
      });
      await server.start();
      this.#closing.push(() => server.stop());
      const { host, port } = server.address();
      addresses.push(`${host}:${port}`);
    }
    const endpoints = new EndpointSet({ provider: () => addresses, refreshMs: 3_600_000 });
    await endpoints.start();
    this.#closing.push(() => endpoints.stop());
    return new FanoutQueryable({
      endpoints,
      ...(replicaLabels.length > 0 && { dedup: { replicaLabels, func: "gapless" } }),
    });
  }

  async remoteRead(queryable: Queryable): Promise<Queryable> {
    const { url, stop } = await startReader(queryable);
    this.#closing.push(stop);
    return new PrometheusQueryable(new PrometheusClient(url, "test"));
  }

  threads(): QueryEngine {
    const engine = new WorkerEngine({ workerCount: 2, ...ENGINE });
    this.#closing.push(() => engine[Symbol.asyncDispose]());
    return engine;
  }
}

const ENGINE = { parser: { experimentalFunctions: true } } as const;

/** The HTTP API's answer without figures, or the error. */
async function answer(engine: QueryEngine, source: Queryable, query: string): Promise<string[]> {
  const run = async (evaluate: () => ReturnType<QueryEngine["instant"]>): Promise<string> => {
    try {
      const result = await evaluate();
      return Buffer.concat([...renderQueryResult(result, { limit: 0, stats: false })]).toString();
    } catch (thrown) {
      const { code, message } = AppError.from(thrown);
      return `${code}: ${message}`;
    }
  };
  const range = { startMs: START_MS - 60_000, endMs: START_MS + 70 * 60_000, stepMs: 97_000 };
  return [
    await run(() => engine.instant(source, { query, timeMs: START_MS + 120 * INTERVAL_MS })),
    await run(() => engine.range(source, { query, ...range })),
  ];
}

describe("the same samples give the same answers", () => {
  const systems = new Systems();
  const local = new Engine(ENGINE);
  let whole: Database;
  const others = new Map<string, { engine: QueryEngine; source: Queryable }>();

  before(async () => {
    const data = createMixedData();
    whole = await systems.database(data);
    const shardOf = new Map(data.map(({ labels }, i) => [labels.key(), i % SHARDS]));
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        systems.database(data, { keeps: (_sample, labels) => shardOf.get(labels.key()) === shard }),
      ),
    );
    // Every series moves to the next shard at a time of its own, and some scrapes are on both.
    const random = seededRandom(SEED);
    const movedMs = new Map(
      data.map(({ labels }) => [labels.key(), START_MS + randomInt(random, 200) * INTERVAL_MS]),
    );
    const moving = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        systems.database(data, {
          keeps({ timeMs }, labels) {
            const before = shardOf.get(labels.key());
            const at = movedMs.get(labels.key())!;
            return (
              (before === shard && timeMs <= at + 2 * INTERVAL_MS) ||
              (((before ?? 0) + 1) % SHARDS === shard && timeMs >= at)
            );
          },
        }),
      ),
    );
    // The first replica has all; the second one has each scrape too, but for a while in the middle.
    const replicas = [
      { database: whole, external: { replica: "a" } },
      {
        database: await systems.database(data, {
          keeps: ({ timeMs }) => Math.abs(timeMs - (START_MS + HOUR_MS / 2)) > 300_000,
        }),
        external: { replica: "b" },
      },
    ];
    const blocks = await systems.database(data, { chunkRangeMs: HOUR_MS / 4 });
    await blocks.maintain();
    assert.ok(blocks.blocks().length >= 1);
    others.set("three shards", {
      engine: local,
      source: await systems.fanout(shards.map((database) => ({ database }))),
    });
    others.set("moving between three shards", {
      engine: local,
      source: await systems.fanout(moving.map((database) => ({ database }))),
    });
    others.set("two replicas", {
      engine: local,
      source: await systems.fanout(replicas, ["replica"]),
    });
    others.set("blocks", { engine: local, source: blocks });
    others.set("remote read", { engine: local, source: await systems.remoteRead(whole) });
    others.set("threads", { engine: systems.threads(), source: whole });
  });
  after(() => systems.close());

  const generators = {
    floats: () => new QueryGenerator(seededRandom(SEED)),
    histograms: () => new HistogramQueryGenerator(seededRandom(SEED)),
  };
  for (const [kind, create] of Object.entries(generators))
    test(`${QUERIES} queries of ${kind}`, async () => {
      const generator = create();
      const wrong: string[] = [];
      let filled = 0;
      for (let i = 0; i < QUERIES; i++) {
        const query = generator.vector(3);
        const wanted = await answer(local, whole, query);
        if (wanted.some((text) => text.includes('"metric"'))) filled++;
        for (const [name, { engine, source }] of others) {
          const found = await answer(engine, source, query);
          for (const [k, text] of found.entries())
            if (text !== wanted[k])
              wrong.push(
                `${name}: ${k === 0 ? "instant" : "range"} ${query}\n    ${difference(text, wanted[k]!)}`,
              );
        }
      }
      assert.ok(filled > QUERIES / 3, `only ${filled} of ${QUERIES} queries have an answer`);
      assert.equal(
        wrong.length,
        0,
        `seed ${SEED}: ${wrong.length} differences\n${wrong.slice(0, 20).join("\n")}`,
      );
    });
});

/** Both texts from shortly before the place where they part. */
function difference(found: string, wanted: string): string {
  let at = 0;
  while (at < found.length && found[at] === wanted[at]) at++;
  const from = Math.max(0, at - 80);
  return `${found.slice(from, at + 120)}\n    not ${wanted.slice(from, at + 120)}`;
}
