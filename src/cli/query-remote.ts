import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { VERSION } from "../base/version.ts";
import { loadConfig } from "../config/load.ts";
import { MIN_INT64 } from "../proto/wire.ts";
import type { EndpointStatus } from "../query/endpoint-set.ts";
import { RemoteReads } from "../remote/remote-reads.ts";

/**
 * Prometheus trusts its local storage from two blocks after its first sample: around a start the storage has gaps that a
 * remote may fill.
 */
export const LOCAL_START_MARGIN_MS = 4 * 60 * 60 * 1000;

/** What a query reads from `remote_read`, kept up with the configuration. */
export class QueryRemote {
  readonly reads: RemoteReads;
  readonly #path: string;
  readonly #logger: Logger;
  #hash: string | undefined;
  #turn: Promise<void> = Promise.resolve();

  constructor(options: {
    /** `--config.file`; "": there is none. */
    readonly path: string;
    readonly statuses: () => readonly EndpointStatus[];
    readonly logger: Logger;
    readonly registry: Registry;
  }) {
    this.#path = options.path;
    this.#logger = options.logger;
    this.reads = new RemoteReads({
      ...options,
      userAgent: `Shoal/${VERSION}`,
      localStartMs: () => localStart(options.statuses()),
    });
  }

  /** Reads the file again; rejects, keeping what there was, when it is broken. */
  load(): Promise<void> {
    if (this.#path === "") return Promise.resolve();
    const next = this.#turn.then(async () => this.reads.apply(await loadConfig(this.#path)));
    this.#turn = next.catch(() => {});
    return next;
  }

  /** Like `load`, but a broken file is logged: queries must not end with it. */
  async reload(): Promise<void> {
    await this.load().catch((error: unknown) => {
      const reason = messageOf(error);
      this.#logger.error("cannot load remote_read; what was there stays", { error: reason });
    });
  }

  /** The coordinator runs the configuration with this hash: when that is another one, the file is read again. */
  async follow(hash: string): Promise<void> {
    if (hash === this.#hash) return;
    this.#hash = hash;
    await this.reload();
  }
}

/** From when on the stores have all samples. One that does not say may be new and empty. */
export function localStart(statuses: readonly EndpointStatus[]): number {
  const oldest = statuses
    .filter(({ health, minTimeMs }) => health === "healthy" && minTimeMs > MIN_INT64)
    .map(({ minTimeMs }) => minTimeMs);
  return Math.min(...oldest) + LOCAL_START_MARGIN_MS;
}
