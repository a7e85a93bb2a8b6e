import { readFile } from "node:fs/promises";
import { AppError, systemCode } from "../base/errors.ts";
import { writeFileAtomic } from "../base/atomic-file.ts";

/**
 * A shard's memory of the latest coordinator: callers with an earlier epoch are refused (leadership.ts). It is on disk
 * before the call it came with takes effect, so that a restart forgets nothing. Callers without an epoch, such as a
 * Kvass coordinator, pass. Calls must not overlap.
 */
export class Fence {
  readonly #path: string;
  #epoch = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** The latest epoch heard of; 0 for none. */
  get epoch(): number {
    return this.#epoch;
  }

  /** Takes up what was heard before the restart. A file that is no number is an error: guessing would unfence. */
  async open(): Promise<void> {
    let text: string;
    try {
      text = await readFile(this.#path, "utf8");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return;
      throw new AppError("unavailable", `cannot read ${this.#path}`, { cause: error });
    }
    if (!/^\d{1,15}\n$/.test(text))
      throw new AppError(
        "corrupt",
        `cannot read ${this.#path}: it must hold one whole number; remove it when no other coordinator runs`,
      );
    this.#epoch = Number(text);
  }

  /** Rejects with `outdated` when a later epoch is known, else remembers this one. */
  async pass(epoch: number | undefined): Promise<void> {
    if (epoch === undefined || epoch === this.#epoch) return;
    if (epoch < this.#epoch)
      throw new AppError(
        "outdated",
        `cannot act under epoch ${epoch}: a coordinator with epoch ${this.#epoch} is in charge`,
      );
    await writeFileAtomic(this.#path, `${epoch}\n`);
    this.#epoch = epoch;
  }
}
