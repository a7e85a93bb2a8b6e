import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { ReplayProgress } from "../tsdb/replay.ts";
import { ProgressBar } from "./progress-bar.ts";

const LINE_EVERY_MS = 5_000;

/** How far the replay of a log has come: a bar on a terminal of one's own, else a line in the log now and then. */
export class ReplayDisplay {
  readonly #bar: ProgressBar | undefined;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #lastLineMs: number;

  constructor(options: {
    readonly stream: NodeJS.WriteStream;
    /** Other processes write to the terminal too. */
    readonly isShared: boolean;
    readonly logger: Logger;
    readonly clock: Clock;
  }) {
    const { stream, isShared, logger, clock } = options;
    if (stream.isTTY && !isShared) this.#bar = new ProgressBar(stream, "of the log replayed");
    this.#logger = logger;
    this.#clock = clock;
    this.#lastLineMs = clock.monotonic();
  }

  show({ segmentCount, segmentTotal, byteCount, byteTotal }: ReplayProgress): void {
    const share = byteTotal === 0 ? 1 : byteCount / byteTotal;
    if (this.#bar !== undefined) {
      this.#bar.show(share);
      return;
    }
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#lastLineMs < LINE_EVERY_MS) return;
    this.#lastLineMs = nowMs;
    this.#logger.info("replaying the write-ahead log", {
      percent: Math.floor(share * 100),
      segments: `${segmentCount}/${segmentTotal}`,
    });
  }

  end(): void {
    this.#bar?.clear();
  }
}
