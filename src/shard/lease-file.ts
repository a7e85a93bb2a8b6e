import { randomUUID } from "node:crypto";
import { link, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import type { LeaseRecord, LeaseStore, StoredLease } from "./lease-elector.ts";

/**
 * The lease of coordinators that share a folder. Each write is a new file `lease-<version>.json`, put there whole by a hard
 * link, which fails when the version exists: so of two that replace the same version one wins, wherever a process is killed
 * or paused. The highest version counts, older ones are removed.
 *
 * A writer that was paused may re-create an old version whose file was removed meanwhile. Nobody reads it, as a higher one
 * is there, and the writer notices by looking once more.
 */
export class FileLeaseStore implements LeaseStore {
  readonly name: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.name = `lease in ${folder}`;
  }

  async read(): Promise<StoredLease | undefined> {
    try {
      for (;;) {
        const version = await this.#newest();
        if (version === 0) return undefined;
        try {
          const text = await readFile(this.#path(version), "utf8");
          return { record: parseRecord(text), version: String(version) };
        } catch (error) {
          // A newer one has come and this one was removed.
          if (systemCode(error) !== "ENOENT") throw error;
        }
      }
    } catch (error) {
      throw this.#failed("read", error);
    }
  }

  async write(record: LeaseRecord, previous: StoredLease | undefined): Promise<StoredLease> {
    const version = Number(previous?.version ?? 0) + 1;
    const draft = join(this.#folder, `draft-${randomUUID()}.json`);
    try {
      await mkdir(this.#folder, { recursive: true });
      await writeFile(draft, `${JSON.stringify(record)}\n`);
      await link(draft, this.#path(version));
      if ((await this.#newest()) !== version) throw new Error("another was faster");
      await this.#removeOlder(version);
    } catch (error) {
      throw systemCode(error) === "EEXIST"
        ? new AppError("already-exists", `cannot write the ${this.name}: another was faster`)
        : this.#failed("write", error);
    } finally {
      await rm(draft, { force: true });
    }
    return { record, version: String(version) };
  }

  #path(version: number): string {
    return join(this.#folder, `lease-${version}.json`);
  }

  /** 0 when there is none. */
  async #newest(): Promise<number> {
    return Math.max(0, ...(await this.#versions()));
  }

  async #versions(): Promise<number[]> {
    try {
      const names = await readdir(this.#folder);
      return names.flatMap((name) => {
        const version = /^lease-(\d+)\.json$/.exec(name)?.[1];
        return version === undefined ? [] : [Number(version)];
      });
    } catch (error) {
      if (systemCode(error) === "ENOENT") return [];
      throw error;
    }
  }

  async #removeOlder(version: number): Promise<void> {
    for (const old of await this.#versions())
      if (old < version) await rm(this.#path(old), { force: true });
  }

  #failed(verb: string, error: unknown): AppError {
    return new AppError("unavailable", `cannot ${verb} the ${this.name}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

const NOBODY: LeaseRecord = {
  holder: "",
  epoch: 0,
  durationMs: 0,
  acquiredAtMs: 0,
  renewedAtMs: 0,
};

/** A file that a power cut left unfinished names nobody; shards raise the epoch again. */
function parseRecord(text: string): LeaseRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return NOBODY;
  }
  if (typeof parsed !== "object" || parsed === null) return NOBODY;
  const number = (name: string): number => {
    const value: unknown = Reflect.get(parsed, name);
    return typeof value === "number" && value >= 0 ? value : 0;
  };
  const holder: unknown = Reflect.get(parsed, "holder");
  return {
    holder: typeof holder === "string" ? holder : "",
    epoch: number("epoch"),
    durationMs: number("durationMs"),
    acquiredAtMs: number("acquiredAtMs"),
    renewedAtMs: number("renewedAtMs"),
  };
}
