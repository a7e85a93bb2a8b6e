import { type FileHandle, open, stat } from "node:fs/promises";
import type { Clock } from "../../base/clock.ts";
import { AppError, messageOf } from "../../base/errors.ts";
import { formatTimeText } from "../../base/time-text.ts";
import type { Logger } from "../../base/logger.ts";
import type { QueryStats } from "../../promql/result.ts";
import { MAX_TIME_MS, MAX_TIME_TEXT, MIN_TIME_MS, MIN_TIME_TEXT } from "./parameters.ts";
import { statsData } from "./render.ts";

/** A query as it was asked. */
export interface LoggedQuery {
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  /** 0 for one at a single time. */
  readonly stepMs: number;
  /** The address of who asked. */
  readonly client: string;
  readonly method: string;
  readonly path: string;
}

/** How it ended. */
export interface QueryOutcome {
  readonly stats?: QueryStats;
  readonly error?: string;
}

/** Lines that wait for the disk; more are dropped and counted, for a log must not hold up queries. */
const WAITING_MAX = 10_000;

/** How often to look whether the file was renamed. */
const FOLLOW_MS = 5_000;

/**
 * Prometheus's query log: one JSON object a line, as its `query_log_file` has them. A file that was renamed or deleted is
 * begun anew.
 */
export class QueryLog {
  readonly #path: string;
  readonly #clock: Clock;
  readonly #logger: Logger;
  #file: FileHandle;
  #waiting: string[] = [];
  #followedMs = 0;
  #dropped = 0;
  #isFailing = false;
  #writing: Promise<void> | undefined;

  private constructor(file: FileHandle, options: { path: string; clock: Clock; logger: Logger }) {
    this.#file = file;
    this.#path = options.path;
    this.#clock = options.clock;
    this.#logger = options.logger;
    this.#followedMs = options.clock.monotonic();
  }

  static async open(options: { path: string; clock: Clock; logger: Logger }): Promise<QueryLog> {
    return new QueryLog(await openLog(options.path), options);
  }

  write(query: LoggedQuery, { stats, error }: QueryOutcome): void {
    if (this.#waiting.length >= WAITING_MAX) {
      this.#dropped++;
      return;
    }
    const line = {
      time: new Date(this.#clock.now()).toISOString(),
      level: "INFO",
      source: "shoal",
      msg: "promql query logged",
      params: {
        end: timeText(query.endMs),
        query: query.query,
        start: timeText(query.startMs),
        step: query.stepMs / 1000,
      },
      ...(error !== undefined && { error }),
      ...(stats !== undefined && { stats: statsData(stats) }),
      httpRequest: { clientIP: query.client, method: query.method, path: query.path },
    };
    this.#waiting.push(`${JSON.stringify(line)}\n`);
    this.#writing ??= this.#drain().finally(() => (this.#writing = undefined));
  }

  /** Ends when all lines have been written. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  /** Goes on in a new file when the name is no longer that of the open one. */
  async #follow(): Promise<void> {
    const nowMs = this.#clock.monotonic();
    if (nowMs - this.#followedMs < FOLLOW_MS) return;
    this.#followedMs = nowMs;
    const [named, own] = await Promise.all([
      stat(this.#path).catch(() => undefined),
      this.#file.stat(),
    ]);
    if (named?.ino === own.ino && named.dev === own.dev) return;
    const file = await openLog(this.#path);
    await this.#file.close();
    this.#file = file;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const lines = this.#waiting;
      this.#waiting = [];
      try {
        await this.#follow();
        await this.#file.appendFile(lines.join(""));
        if (this.#isFailing)
          this.#logger.info("the query log is written again", { lost: this.#dropped });
        this.#isFailing = false;
        this.#dropped = 0;
      } catch (error) {
        this.#dropped += lines.length;
        if (!this.#isFailing)
          this.#logger.error("cannot write the query log", { path: this.#path, error });
        this.#isFailing = true;
      }
    }
  }
}

/** As Prometheus's log has it, "everything" by its ends, too. */
function timeText(timeMs: number): string {
  if (timeMs === MIN_TIME_MS) return MIN_TIME_TEXT.replace("Z", ".000Z");
  if (timeMs === MAX_TIME_MS) return MAX_TIME_TEXT.replace(/\d{6}Z/, "Z");
  return formatTimeText(timeMs);
}

async function openLog(path: string): Promise<FileHandle> {
  try {
    return await open(path, "a", 0o640);
  } catch (error) {
    throw new AppError("bad-data", `cannot open the query log ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
