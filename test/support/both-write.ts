/** The same write and OTLP requests to a real Prometheus and to us, so that what both hold can be compared. */
import assert from "node:assert/strict";
import { startPrometheus, temporaryFolder } from "./processes.ts";
import { registerOtlpApi } from "../../src/api/otlp-api.ts";
import { registerRemoteWriteApi } from "../../src/api/remote-write-api.ts";
import { createHttpServer } from "../../src/api/server.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { parseConfig } from "../../src/config/load.ts";
import type { FloatHistogram } from "../../src/model/histogram.ts";
import { formatSeries } from "../../src/model/labels.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { OtlpReceiver } from "../../src/remote/otlp-receiver.ts";
import { decodeFrames, encodeReadRequest, READ_HEADERS } from "../../src/remote/read-answer.ts";
import { WriteReceiver, type WriteReceiverOptions } from "../../src/remote/write-receiver.ts";
import { decodeHistogramChunk } from "../../src/storage/chunk-encodings.ts";
import { ENCODING_XOR, type Series } from "../../src/storage/queryable.ts";
import { openDatabase } from "../../src/tsdb/database.ts";
import { samples } from "../../src/tsdb/testing/head-fixture.ts";

/** Times are shown as distances from it. */
export const NOW = Date.now();

export interface BothWrite {
  readonly theirUrl: string;
  readonly ourUrl: string;
  /** What one of them holds and the other does not. */
  readonly differences: () => Promise<string[]>;
  /** What we hold. */
  readonly held: () => Promise<string[]>;
}

export async function withBothWrite(
  options: {
    readonly flags?: readonly string[];
    readonly config?: string;
    /** Another Prometheus than the one among the parts. */
    readonly program?: string;
    readonly receiver?: Partial<WriteReceiverOptions>;
    readonly outOfOrderTimeWindowMs?: number;
    /** What of a histogram is compared. Default all of it. */
    readonly shownHistogram?: (histogram: FloatHistogram) => unknown;
  },
  compare: (both: BothWrite) => Promise<void>,
): Promise<void> {
  const prometheus = await startPrometheus({
    config: options.config ?? "",
    flags: ["--web.enable-remote-write-receiver", ...(options.flags ?? [])],
    ...(options.program !== undefined && { program: options.program }),
  });
  assert.ok(prometheus !== undefined);
  const registry = new Registry();
  const database = await openDatabase({
    folder: temporaryFolder("write"),
    logger: silentLogger,
    clock: systemClock,
    registry,
    retentionMs: 15 * 86_400_000,
    maxExemplars: 1000,
    outOfOrderTimeWindowMs: options.outOfOrderTimeWindowMs ?? 0,
  });
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry,
    ready: () => true,
  });
  registerRemoteWriteApi(server.app, {
    receiver: new WriteReceiver({
      appendable: database,
      clock: systemClock,
      logger: silentLogger,
      registry,
      ...options.receiver,
    }),
    maxBodyBytes: 1 << 25,
    maxRequests: 4,
  });
  const { otlp } = parseConfig(options.config ?? "", { path: "test", baseFolder: "/" });
  registerOtlpApi(
    server.app,
    new OtlpReceiver({ appendable: database, config: () => otlp, logger: silentLogger }),
  );
  await server.start?.();
  const { shownHistogram = (histogram): FloatHistogram => histogram } = options;
  const shown = (series: readonly Series[]): string[] =>
    series
      .filter(({ chunks }) => chunks.length > 0)
      .map(
        (each) =>
          `${formatSeries(each.labels)} ${JSON.stringify(shownSamples(each, shownHistogram))}`,
      )
      .sort();
  const held = async (): Promise<string[]> => {
    const all: Series[] = [];
    const matchers = [createMatcher("__name__", "=~", ".*")];
    for await (const batch of database.select({ matchers, minTimeMs: 0, maxTimeMs: Infinity }))
      all.push(...batch.series);
    return shown(all);
  };
  try {
    await compare({
      theirUrl: prometheus.url,
      ourUrl: `http://127.0.0.1:${server.address().port}`,
      held,
      async differences() {
        const [theirs, ours] = [shown(await readBack(prometheus.url)), await held()];
        return [
          ...theirs.filter((line) => !ours.includes(line)).map((line) => `only theirs: ${line}`),
          ...ours.filter((line) => !theirs.includes(line)).map((line) => `only ours: ${line}`),
        ];
      },
    });
  } finally {
    await server.stop?.();
    await database.close();
    await prometheus.stop();
  }
}

async function readBack(url: string): Promise<Series[]> {
  const response = await fetch(`${url}/api/v1/read`, {
    method: "POST",
    headers: READ_HEADERS,
    body: new Uint8Array(
      encodeReadRequest({
        minTimeMs: 0,
        maxTimeMs: NOW * 2,
        matchers: [createMatcher("__name__", "!=", "")],
      }),
    ),
  });
  const all: Series[] = [];
  for await (const series of decodeFrames(response.body!)) all.push(...series);
  return all;
}

function shownSamples(
  series: Series,
  shownHistogram: (histogram: FloatHistogram) => unknown,
): unknown[] {
  const floats = series.chunks.filter(({ encoding }) => encoding === ENCODING_XOR);
  const rows: unknown[] = samples({ ...series, chunks: floats }).map(([t, v]) => [
    t - NOW,
    Object.is(v, -0) ? "-0" : String(v),
  ]);
  for (const chunk of series.chunks) {
    if (chunk.encoding === ENCODING_XOR) continue;
    const { times, histograms } = decodeHistogramChunk(chunk);
    for (const [i, histogram] of histograms.entries())
      rows.push([times[i]! - NOW, chunk.encoding, shownHistogram(histogram)]);
  }
  return rows;
}
