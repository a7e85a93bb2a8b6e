import type { FastifyInstance } from "fastify";
import { registerOtlpApi } from "../api/otlp-api.ts";
import { registerRemoteReadApi } from "../api/remote-read-api.ts";
import { registerRemoteWriteApi } from "../api/remote-write-api.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { OtlpConfig } from "../config/types.ts";
import { OtlpReceiver } from "../remote/otlp-receiver.ts";
import { RemoteWriter } from "../remote/remote-writer.ts";
import { type WriteMessage, WriteReceiver } from "../remote/write-receiver.ts";
import type { Appendable } from "../storage/appender.ts";
import type { Queryable } from "../storage/queryable.ts";
import type { ScrapeManager } from "../scrape/scrape-manager.ts";
import type { Head } from "../tsdb/head.ts";
import { VERSION } from "../base/version.ts";
import type { FlagValues } from "./flags.ts";
import type { REMOTE_READ_FLAGS, WRITE_RECEIVER_FLAGS } from "./remote-flags.ts";

export interface ShardRemoteParts {
  readonly app: FastifyInstance;
  readonly database: Appendable & Queryable;
  /** Of the running configuration. */
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly otlp: () => OtlpConfig;
  /** Whether the time a series was created becomes a zero of it. */
  readonly takesCreated: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Prometheus's remote protocols on a shard, as its flags say. */
export function registerShardRemote(
  flags: FlagValues<typeof WRITE_RECEIVER_FLAGS> & FlagValues<typeof REMOTE_READ_FLAGS>,
  parts: ShardRemoteParts,
): void {
  const { app, database, clock, logger, registry } = parts;
  const receiver = flags.enableWriteReceiver
    ? new WriteReceiver({
        appendable: database,
        clock,
        logger,
        registry,
        // The flag has let no other names pass.
        accepted: flags.acceptedMessages as readonly WriteMessage[],
        maxDecodedBytes: flags.writeMaxDecodedSize,
        maxSeries: flags.writeMaxSeries,
        takesCreated: parts.takesCreated,
      })
    : undefined;
  registerRemoteWriteApi(app, {
    receiver,
    maxBodyBytes: flags.writeMaxBodySize,
    maxRequests: flags.writeMaxRequests,
  });
  registerOtlpApi(
    app,
    flags.enableOtlpReceiver
      ? new OtlpReceiver({ appendable: database, config: parts.otlp, logger })
      : undefined,
  );
  registerRemoteReadApi(app, {
    queryable: () => database,
    externalLabels: parts.externalLabels,
    registry,
    sampleLimit: flags.readSampleLimit,
    concurrentLimit: flags.readConcurrentLimit,
    maxFrameBytes: flags.readMaxBytesInFrame,
  });
}

/** Sends what a shard's database logs to the `remote_write` of its configuration. */
export function createRemoteWriter(parts: {
  readonly folder: string;
  readonly head: Pick<Head, "logEnd">;
  readonly scrape: Pick<ScrapeManager, "metadata">;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}): RemoteWriter {
  const { head, scrape } = parts;
  return new RemoteWriter({
    ...parts,
    userAgent: `Shoal/${VERSION}`,
    end: () => head.logEnd(),
    metadata: () => new Map([...scrape.metadata()].map(([name, entries]) => [name, entries[0]!])),
  });
}
