import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { endProcess, isRunning, type ProcessIdentity } from "../base/process-identity.ts";
import { type ProcessCommand, SupervisedProcess } from "../base/supervised-process.ts";
import { writeFileAtomic } from "../base/atomic-file.ts";
import type { ShardDriver, ShardInstance } from "./driver.ts";
import { readShardFile } from "./shard-file.ts";

/** Where the shards of one replica group are on this machine, and what they are called. */
export interface ShardFolders {
  readonly folder: string;
  /** `shards`, or another word for a further replica group in the same folder. */
  readonly name: string;
  readonly shardId: (ordinal: number) => string;
}

/**
 * Shards as child processes on this machine, one data folder each under `<folder>/<name>/<ordinal>`. Shards of a former
 * parent that was killed are still running: they are taken over instead of started twice. How many shards are asked for
 * is kept in `<folder>/<name>.json`.
 */
export interface ProcessDriverOptions extends ShardFolders {
  /** How the shard with this ordinal is started on its data folder. */
  readonly command: (ordinal: number, shardFolder: string) => ProcessCommand;
  /** What a shard started with this command writes of itself (`ShardFile.command`). */
  readonly describe: (command: ProcessCommand) => string;
  /** Shards to start with when nothing is recorded. */
  readonly initialShards: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** A shard came up or went down. */
  readonly onChange: () => void;
}

/** How often a shard that is coming up, or that is no child of ours, is looked at. */
const WATCH_MS = 50;
const ADOPTED_WATCH_MS = 1_000;
/** How long a taken-over shard may drain. */
const DRAIN_MS = 20_000;

function countFile({ folder, name }: ShardFolders): string {
  return join(folder, `${name}.json`);
}

/** How many shards were last asked for; undefined when that is not recorded. */
export async function readShardCount(folders: ShardFolders): Promise<number | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(countFile(folders), "utf8"));
    const count =
      typeof parsed === "object" && parsed !== null && "shards" in parsed ? parsed.shards : 0;
    return typeof count === "number" && Number.isInteger(count) && count >= 0 ? count : undefined;
  } catch {
    return undefined;
  }
}

export class ProcessDriver implements ShardDriver {
  readonly name: string;
  readonly #options: ProcessDriverOptions;
  readonly #slots: Slot[] = [];
  #scaling: Promise<void> = Promise.resolve();

  constructor(options: ProcessDriverOptions) {
    this.#options = options;
    this.name = options.name;
  }

  get desired(): number {
    return this.#slots.length;
  }

  async start(): Promise<void> {
    await mkdir(this.#options.folder, { recursive: true });
    const recorded = await readShardCount(this.#options);
    await this.#grow(Math.max(recorded ?? 0, this.#options.initialShards));
  }

  async list(): Promise<readonly ShardInstance[]> {
    return this.#slots.map((slot) => slot.instance());
  }

  /** Calls queue up; a removed shard drains in the background and keeps its data folder. */
  scale(count: number): Promise<void> {
    const next = this.#scaling.then(async () => {
      await this.#writeCount(count);
      await this.#grow(count);
      for (const slot of this.#slots.splice(count)) {
        this.#options.logger.info("stopping shard", { shard: slot.id });
        void slot.stop().catch((error: unknown) => {
          this.#options.logger.error("cannot stop shard", { shard: slot.id, error });
        });
      }
    });
    this.#scaling = next.catch(() => {});
    return next;
  }

  /** Drains all shards. */
  async stop(): Promise<void> {
    await this.#scaling;
    await Promise.all(this.#slots.map((slot) => slot.stop()));
  }

  async #grow(count: number): Promise<void> {
    while (this.#slots.length < count) {
      const ordinal = this.#slots.length;
      const folder = join(this.#options.folder, this.name, String(ordinal));
      await mkdir(folder, { recursive: true });
      const slot = new Slot(ordinal, folder, this.#options);
      await slot.start();
      this.#slots.push(slot);
    }
  }

  async #writeCount(shards: number): Promise<void> {
    await writeFileAtomic(countFile(this.#options), `${JSON.stringify({ shards })}\n`);
  }
}

/** One ordinal: a child of ours, or a living shard of a former parent until it ends. */
class Slot {
  readonly id: string;
  readonly #ordinal: number;
  readonly #folder: string;
  readonly #options: ProcessDriverOptions;
  readonly #child: SupervisedProcess;
  #adopted: ProcessIdentity | undefined;
  #address: { http: string; grpc: string } | undefined;
  #cancelWatch: () => void = () => {};
  #isStopping = false;

  constructor(ordinal: number, folder: string, options: ProcessDriverOptions) {
    this.id = options.shardId(ordinal);
    this.#ordinal = ordinal;
    this.#folder = folder;
    this.#options = options;
    const onChange = (): void => {
      // A child that ended is reachable nowhere; one that started says where once it listens.
      this.#address = undefined;
      options.onChange();
      this.#watchLater();
    };
    this.#child = new SupervisedProcess(options.command(ordinal, folder), { ...options, onChange });
  }

  async start(): Promise<void> {
    const file = await readShardFile(this.#folder);
    const { logger, clock, command, describe } = this.#options;
    if (file === undefined || !isRunning(file.process)) this.#child.start();
    else if (file.command !== describe(command(this.#ordinal, this.#folder))) {
      logger.info("replacing a shard that was started otherwise", { shard: this.id });
      await endProcess(file.process, { clock, drainMs: DRAIN_MS });
      this.#child.start();
    } else {
      this.#adopted = file.process;
      this.#address = file;
      logger.info("took over a running shard", { shard: this.id, pid: file.process.pid });
      this.#watchLater();
    }
  }

  instance(): ShardInstance {
    const isUp = this.#adopted !== undefined || this.#child.pid !== undefined;
    return {
      id: this.id,
      ordinal: this.#ordinal,
      url: this.#address === undefined ? undefined : `http://${this.#address.http}`,
      grpcAddress: this.#address?.grpc,
      restarts: this.#child.restarts,
      ...(!isUp && this.#child.error !== "" && { error: this.#child.error }),
    };
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelWatch();
    const adopted = this.#adopted;
    if (adopted === undefined) await this.#child.stop();
    else await endProcess(adopted, { clock: this.#options.clock, drainMs: DRAIN_MS });
  }

  #watchLater(): void {
    this.#cancelWatch();
    if (this.#isStopping) return;
    const waitMs = this.#adopted === undefined ? WATCH_MS : ADOPTED_WATCH_MS;
    this.#cancelWatch = this.#options.clock.after(waitMs, () => {
      void this.#watch();
    });
  }

  /** Never rejects. */
  async #watch(): Promise<void> {
    if (this.#adopted !== undefined) {
      if (isRunning(this.#adopted)) this.#watchLater();
      else {
        this.#options.logger.warn("shard ended by itself", { shard: this.id });
        this.#adopted = undefined;
        this.#child.start();
      }
      return;
    }
    const pid = this.#child.pid;
    if (pid === undefined || this.#address !== undefined) return;
    const file = await readShardFile(this.#folder);
    if (file?.process.pid === pid && this.#child.pid === pid) {
      this.#address = file;
      this.#options.onChange();
    } else this.#watchLater();
  }
}
