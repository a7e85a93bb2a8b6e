import type { AppendBatch, AppendResult } from "../storage/appender.ts";
import type { AppendJob } from "./head-commit.ts";

/** Batches of appends written with one write hold at most about so many samples. */
const GROUP_MAX_SAMPLES = 1_000_000;

/** All appends of one turn of the event loop, and those that come while a write is under way, share one write. */
export class AppendQueue {
  readonly #write: (jobs: readonly AppendJob[]) => Promise<void>;
  #jobs: AppendJob[] = [];
  #draining: Promise<void> | undefined;

  /** `write` resolves or rejects each of its jobs; when it throws, all of them are rejected. */
  constructor(write: (jobs: readonly AppendJob[]) => Promise<void>) {
    this.#write = write;
  }

  push(batch: AppendBatch): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ batch, resolve, reject });
      this.#draining ??= new Promise((done) => {
        setImmediate(() => {
          void this.#drain().then(done);
        });
      });
    });
  }

  /** Resolves when all that is queued has been written or refused. */
  async drained(): Promise<void> {
    await this.#draining;
  }

  async #drain(): Promise<void> {
    while (this.#jobs.length > 0) {
      let size = 0;
      let count = 0;
      while (count < this.#jobs.length && size < GROUP_MAX_SAMPLES)
        size += this.#jobs[count++]!.batch.count;
      const jobs = this.#jobs.splice(0, count);
      try {
        await this.#write(jobs);
      } catch (error) {
        for (const job of jobs) job.reject(error);
      }
    }
    this.#draining = undefined;
  }
}
