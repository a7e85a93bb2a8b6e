/** What the tests of remote read share: a server of it, requests, and what its answers say. */
import assert from "node:assert/strict";
import { temporaryFolder } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { compressSnappy } from "../base/snappy.ts";
import type { Matcher } from "../model/matcher.ts";
import { ProtoWriter } from "../proto/wire.ts";
import { decodeFrames, encodeReadRequest, READ_HEADERS } from "../remote/read-answer.ts";
import type { Queryable, Series } from "../storage/queryable.ts";
import { type Database, openDatabase } from "../tsdb/database.ts";
import { registerRemoteReadApi } from "./remote-read-api.ts";
import { createHttpServer } from "./server.ts";

export const NOW = Date.now();

export interface Read {
  (request: Uint8Array): Promise<Response>;
}

export interface ReaderOptions {
  readonly external?: Record<string, string>;
  readonly sampleLimit?: number;
  readonly maxFrameBytes?: number;
  readonly concurrentLimit?: number;
}

/** Serves remote read of `queryable` at `url`, until it is stopped. */
export async function startReader(
  queryable: Queryable,
  options: ReaderOptions = {},
): Promise<{ readonly url: string; readonly stop: () => Promise<void> }> {
  const registry = new Registry();
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry,
    ready: () => true,
  });
  registerRemoteReadApi(server.app, {
    queryable: () => queryable,
    externalLabels: () => options.external ?? {},
    registry,
    sampleLimit: options.sampleLimit ?? 0,
    concurrentLimit: options.concurrentLimit ?? 10,
    maxFrameBytes: options.maxFrameBytes ?? 1 << 20,
  });
  await server.start();
  return { url: `http://127.0.0.1:${server.address().port}`, stop: () => server.stop() };
}

/** Serves remote read of a database of its own, or of `queryable`, while `act` runs. */
export async function withReader(
  options: ReaderOptions & { readonly queryable?: Queryable },
  act: (read: Read, database: Database) => Promise<void>,
): Promise<void> {
  const database = await openDatabase({
    folder: temporaryFolder("read"),
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 86_400_000,
  });
  const { url, stop } = await startReader(options.queryable ?? database, options);
  try {
    await act(
      (request) =>
        fetch(`${url}/api/v1/read`, {
          method: "POST",
          headers: READ_HEADERS,
          body: new Uint8Array(request),
        }),
      database,
    );
  } finally {
    await stop();
    await database.close();
  }
}

/** A request for samples; streamed chunks are what `encodeReadRequest` prefers. */
export function samplesRequest(
  matchers: readonly Matcher[],
  types: readonly number[] = [0],
): Uint8Array {
  const writer = new ProtoWriter();
  for (const type of types.toReversed()) {
    writer.varint(type);
    writer.varint(0x10);
  }
  const start = writer.size;
  for (const { name, value } of matchers) {
    const before = writer.size;
    writer.string(3, value);
    writer.string(2, name);
    writer.message(3, before);
  }
  writer.int64(2, NOW + 3_600_000);
  writer.int64(1, NOW - 3_600_000);
  writer.message(1, start);
  return compressSnappy(writer.finish());
}

export const streamed = (...matchers: Matcher[]): Uint8Array =>
  encodeReadRequest({ minTimeMs: NOW - 3_600_000, maxTimeMs: NOW + 3_600_000, matchers });

export async function framesOf(response: Response): Promise<Series[]> {
  assert.equal(response.status, 200);
  assert.match(response.headers.get("content-type")!, /^application\/x-streamed-protobuf; proto=/);
  const all: Series[] = [];
  for await (const series of decodeFrames(response.body!)) all.push(...series);
  return all;
}
