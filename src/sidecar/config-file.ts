import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { AppError, messageOf } from "../base/errors.ts";
import type { Config } from "../config/types.ts";
import { comparableConfig } from "../config/comparable.ts";

/** Who runs the configuration; `shard/`'s service has this shape. */
export interface ConfigOwner {
  readonly config: Config | undefined;
  setConfig(pushed: {
    readonly rawContent: string;
    readonly baseFolder: string;
    readonly hash: string;
  }): Promise<void>;
}

/**
 * File mode: the configuration stands in a file beside the sidecar, kept up to date by others, and may differ from the
 * coordinator's in its external labels. What the coordinator offers is compared, never taken: where both agree, the
 * coordinator's hash is reported from then on.
 */
export class ConfigFile {
  readonly #path: string;
  readonly #owner: ConfigOwner;

  constructor(path: string, owner: ConfigOwner) {
    this.#path = resolve(path);
    this.#owner = owner;
  }

  /** Takes up the file if its text is not the one that runs. */
  async load(): Promise<void> {
    const text = await this.#read();
    const { config } = this.#owner;
    const baseFolder = dirname(this.#path);
    if (config?.source === text && config.baseFolder === baseFolder) return;
    await this.#owner.setConfig({ rawContent: text, baseFolder, hash: "" });
  }

  /** Rejects with `bad-data` while the file says something else. */
  async offer(pushed: { readonly rawContent: string; readonly hash: string }): Promise<void> {
    const text = await this.#read();
    const own = comparableConfig(text, this.#path);
    const same = own === comparableConfig(pushed.rawContent, "the coordinator's configuration");
    if (!same) {
      await this.load();
      throw new AppError(
        "bad-data",
        `cannot take the configuration: ${this.#path} says something else (only external_labels may differ)`,
      );
    }
    await this.#owner.setConfig({
      rawContent: text,
      baseFolder: dirname(this.#path),
      hash: pushed.hash,
    });
  }

  async #read(): Promise<string> {
    try {
      return await readFile(this.#path, "utf8");
    } catch (error) {
      throw new AppError("unavailable", `cannot read ${this.#path}: ${messageOf(error)}`);
    }
  }
}
