import { readFile } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";

export type ReadFile = (path: string) => Promise<string>;

const readText: ReadFile = (path) => readFile(path, "utf8");

/**
 * Files that hold credentials, read again as they may be rotated, but not more often than every `maxAgeMs`: ten thousand
 * targets with one password file would otherwise read it hundreds of times a second.
 */
export class SecretFiles {
  readonly #read: ReadFile;
  readonly #maxAgeMs: number;
  readonly #clock: Clock;
  readonly #cache = new Map<string, { readonly text: Promise<string>; readonly readAt: number }>();

  constructor(options: { readFile: ReadFile | undefined; maxAgeMs: number; clock: Clock }) {
    this.#read = options.readFile ?? readText;
    this.#maxAgeMs = options.maxAgeMs;
    this.#clock = options.clock;
  }

  /** The file's text; rejects with `unavailable` naming the file and what it is for. */
  read(path: string, purpose: string): Promise<string> {
    const now = this.#clock.monotonic();
    const known = this.#cache.get(path);
    if (known !== undefined && now - known.readAt < this.#maxAgeMs) return known.text;
    const text = this.#read(path).catch((error: unknown) => {
      this.#cache.delete(path);
      const reason =
        systemCode(error) === "ENOENT" ? "no such file or directory" : messageOf(error);
      throw new AppError("unavailable", `cannot read ${purpose} ${path}: ${reason}`, {
        cause: error,
      });
    });
    this.#cache.set(path, { text, readAt: now });
    return text;
  }

  /** As `read`, without surrounding white space: a secret kept in a file usually ends in a newline. */
  async readTrimmed(path: string, purpose: string): Promise<string> {
    return (await this.read(path, purpose)).trim();
  }
}
