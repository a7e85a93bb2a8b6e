import { statSync, watch, type FSWatcher } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { messageOf, systemCode } from "../base/errors.ts";
import type { Registry } from "../base/metrics.ts";
import type { TargetGroup } from "../model/target.ts";
import { expandGlob } from "./file-glob.ts";
import { parseJsonGroups, parseYamlGroups, toTargetGroups } from "./group-list.ts";
import { pause, type Finding, type Mechanism, type MechanismContext } from "./mechanism.ts";

/** A burst of changes (a tool that writes ten files) is one refresh. */
const SETTLE_MS = 50;

interface FileConfig {
  /** Absolute; the last element may hold `*`, `?` and `[…]`. */
  readonly files: readonly string[];
  readonly refreshIntervalMs: number;
}

/**
 * Targets in JSON or YAML files, read again when their folders change and every `refreshIntervalMs` in case a change went
 * unseen. A file that cannot be read or parsed keeps its last good content; one that is gone takes its targets along.
 */
export function createFile(config: FileConfig, context: MechanismContext): Mechanism {
  return {
    async run(report, signal) {
      const files = new WatchedFiles(config, context);
      let wake = (): void => {};
      signal.addEventListener("abort", () => wake(), { once: true });
      try {
        while (!signal.aborted) {
          // Watching starts before reading, so that no change falls between the two.
          files.watchFolders(() => wake());
          const awoken = new Promise<void>((resolve) => (wake = resolve));
          report(await files.refresh());
          if (signal.aborted) return;
          const cancel = context.clock.after(config.refreshIntervalMs, () => wake());
          await awoken;
          cancel();
          await pause(context.clock, SETTLE_MS, signal);
        }
      } finally {
        files.close();
      }
    },
  };
}

class WatchedFiles {
  readonly #config: FileConfig;
  readonly #context: MechanismContext;
  readonly #metrics: ReturnType<typeof fileMetrics>;
  readonly #watchers = new Map<string, { readonly watcher: FSWatcher; readonly inode: number }>();
  #known = new Map<string, readonly TargetGroup[]>();
  /** Files and folders that fail now and have not been read before: nobody knows what targets they hold. */
  readonly #unread = new Set<string>();

  constructor(config: FileConfig, context: MechanismContext) {
    this.#config = config;
    this.#context = context;
    this.#metrics = fileMetrics(context.registry);
  }

  /** Reads all files; each bad one keeps what it had. */
  async refresh(): Promise<Finding> {
    const errors: string[] = [];
    const found = new Map<string, readonly TargetGroup[]>();
    this.#unread.clear();
    for (const pattern of this.#config.files) {
      for (const path of await this.#expand(pattern, errors)) {
        if (found.has(path)) continue;
        const groups = await this.#read(path, errors);
        if (groups !== undefined) found.set(path, groups);
      }
    }
    for (const path of this.#known.keys()) if (!found.has(path)) this.#metrics.forget(path);
    this.#known = found;
    return { groups: [...found.values()].flat(), isPartial: this.#unread.size > 0, errors };
  }

  /**
   * Makes every folder of the patterns call `onChange`. One that is not there yet, or was replaced by another of its name
   * (a watch follows the folder, not the name), is taken up the next time.
   */
  watchFolders(onChange: () => void): void {
    for (const folder of new Set(this.#config.files.map((path) => dirname(path)))) {
      try {
        const inode = statSync(folder, { throwIfNoEntry: false })?.ino;
        const known = this.#watchers.get(folder);
        if (known !== undefined && known.inode === inode) continue;
        this.#unwatch(folder);
        if (inode === undefined) continue;
        const watcher = watch(folder, { persistent: false }, onChange);
        watcher.on("error", (error) => {
          this.#watchFailed(folder, error);
          this.#unwatch(folder);
        });
        this.#watchers.set(folder, { watcher, inode });
      } catch (error) {
        this.#watchFailed(folder, error);
      }
    }
  }

  close(): void {
    for (const { watcher } of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #unwatch(folder: string): void {
    this.#watchers.get(folder)?.watcher.close();
    this.#watchers.delete(folder);
  }

  #watchFailed(folder: string, error: unknown): void {
    this.#metrics.watchErrors.inc();
    this.#context.logger.warn("cannot watch folder", { discovery: "file", folder, error });
  }

  async #expand(pattern: string, errors: string[]): Promise<string[]> {
    try {
      return await expandGlob(pattern);
    } catch (error) {
      this.#fail(pattern, error, errors);
      // The folder cannot be listed: what was read from it stands.
      const folder = dirname(pattern);
      const known = [...this.#known.keys()].filter((path) => dirname(path) === folder);
      if (known.length === 0) this.#unread.add(pattern);
      return known;
    }
  }

  async #read(path: string, errors: string[]): Promise<readonly TargetGroup[] | undefined> {
    try {
      const [text, { mtimeMs }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
      const groups = /\.json$/i.test(path) ? parseJsonGroups(text) : parseYamlGroups(text);
      this.#metrics.modified(path, mtimeMs / 1000);
      return toTargetGroups(groups, { name: path, label: "__meta_filepath" });
    } catch (error) {
      // A file that is gone is no error: its targets go with it. One that never was may yet come.
      if (systemCode(error) === "ENOENT") return undefined;
      this.#fail(path, error, errors);
      const known = this.#known.get(path);
      if (known === undefined) this.#unread.add(path);
      return known;
    }
  }

  #fail(path: string, error: unknown, errors: string[]): void {
    this.#metrics.readErrors.inc();
    this.#context.logger.error("cannot read file", { discovery: "file", path, error });
    errors.push(`cannot read ${path}: ${messageOf(error)}`);
  }
}

function fileMetrics(registry: Registry) {
  const mtime = "prometheus_sd_file_mtime_seconds";
  return {
    readErrors: registry.counter(
      "prometheus_sd_file_read_errors_total",
      "The number of File-SD read errors.",
    ),
    watchErrors: registry.counter(
      "prometheus_sd_file_watcher_errors_total",
      "The number of File-SD errors caused by filesystem watch failures.",
    ),
    modified: (filename: string, seconds: number): void =>
      registry
        .gauge(mtime, "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.", {
          filename,
        })
        .set(seconds),
    forget: (filename: string): void => registry.remove(mtime, { filename }),
  };
}
