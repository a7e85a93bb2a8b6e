import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { freePort } from "../base/free-port.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import {
  endProcess,
  identifyProcess,
  isRunning,
  parseIdentity,
  type ProcessIdentity,
  residentBytes,
} from "../base/process-identity.ts";
import type { Service } from "../base/service.ts";
import { SupervisedProcess } from "../base/supervised-process.ts";
import { MemoryKills } from "./memory-kills.ts";

/**
 * The sidecar's own Prometheus: started, kept running, stopped with it. One that a killed sidecar left behind is found
 * through a file and goes on as if nothing had happened, or is ended when it should run otherwise now; so there are never
 * two on one data folder.
 */
export interface PrometheusProcessOptions {
  /** Absolute path of the program. */
  readonly binary: string;
  readonly configFile: string;
  /** Its TSDB. */
  readonly dataFolder: string;
  /** All other arguments. */
  readonly args: readonly string[];
  readonly environment: NodeJS.ProcessEnv;
  /** Where it is noted which process runs and where it listens. */
  readonly stateFile: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly memoryKills?: MemoryKills;
  /** It was started or has ended, or a loop of kills is over. */
  readonly onChange?: () => void;
}

/** What the sidecar tells of its own Prometheus. */
export interface ProcessReport {
  readonly pid: number | undefined;
  readonly rssBytes: number;
  readonly restarts: number;
  /** How often it was killed because memory had run out. */
  readonly outOfMemory: number;
  /** It has been killed so often in a row that it will not run with what it has. */
  readonly isOutOfMemoryLoop: boolean;
  /** How it last ended; "" while it runs. */
  readonly error: string;
}

/** These arguments are the sidecar's own business. */
export const OWN_ARGUMENTS = [
  "--config.file",
  "--storage.tsdb.path",
  "--web.listen-address",
  "--web.enable-lifecycle",
  "--web.config.file",
  "--web.route-prefix",
  "--web.external-url",
  "--agent",
] as const;

/** Shorter than the time that the sidecar itself has to end. */
const DRAIN_MS = 15_000;
const ADOPTED_WATCH_MS = 500;
/** So many kills for want of memory, each within this time of the one before, are a loop. */
const LOOP_KILLS = 3;
const LOOP_WITHIN_MS = 600_000;
/** A loop is over when it has run for so long. */
const LOOP_OVER_MS = 120_000;

export class PrometheusProcess implements Service {
  readonly name = "prometheus process";
  readonly #options: PrometheusProcessOptions;
  readonly #child: SupervisedProcess;
  readonly #memoryKills: MemoryKills;
  #port = 0;
  #adopted: ProcessIdentity | undefined;
  #adoptedRestarts = 0;
  #startedMs = 0;
  #kills: number[] = [];
  #killCount = 0;
  #isStopping = false;
  #cancelWatch = (): void => {};
  #cancelLoop = (): void => {};

  constructor(options: PrometheusProcessOptions) {
    const { clock, logger, registry } = options;
    this.#options = options;
    this.#memoryKills = options.memoryKills ?? new MemoryKills();
    this.#child = new SupervisedProcess(
      () => ({
        name: "prometheus",
        command: options.binary,
        args: [...this.#arguments(), `--web.listen-address=127.0.0.1:${this.#port}`],
        environment: options.environment,
      }),
      { clock, logger, registry, drainMs: DRAIN_MS, onChange: () => this.#changed() },
    );
    registry.collect(
      {
        name: "shoal_sidecar_prometheus_out_of_memory_total",
        help: "How often the sidecar's Prometheus was killed because memory had run out.",
        type: "counter",
      },
      {},
      () => this.#killCount,
    );
  }

  /** Undefined while it does not run. */
  get url(): string | undefined {
    return this.#pid === undefined ? undefined : `http://127.0.0.1:${this.#port}`;
  }

  async start(): Promise<void> {
    const { dataFolder, stateFile, clock, logger } = this.#options;
    try {
      await mkdir(dataFolder, { recursive: true });
      await mkdir(dirname(stateFile), { recursive: true });
    } catch (error) {
      throw new AppError("unavailable", `cannot make a folder: ${messageOf(error)}`);
    }
    this.#memoryKills.read();
    const left = readState(stateFile);
    if (left !== undefined && isRunning(left.process)) {
      if (left.command === this.#command) {
        this.#adopted = left.process;
        this.#port = left.port;
        this.#startedMs = clock.monotonic();
        logger.info("took over a running Prometheus", { pid: left.process.pid });
        this.#watchLater();
        return;
      }
      logger.info("ending a Prometheus that was started otherwise", { pid: left.process.pid });
      await endProcess(left.process, { clock, drainMs: DRAIN_MS });
    }
    this.#port = await freePort();
    this.#child.start();
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelWatch();
    this.#cancelLoop();
    if (this.#adopted === undefined) await this.#child.stop();
    else await endProcess(this.#adopted, { clock: this.#options.clock, drainMs: DRAIN_MS });
    await rm(this.#options.stateFile, { force: true });
  }

  report(): ProcessReport {
    const pid = this.#pid;
    return {
      pid,
      rssBytes: pid === undefined ? 0 : residentBytes(pid),
      restarts: this.#child.restarts + this.#adoptedRestarts,
      outOfMemory: this.#killCount,
      isOutOfMemoryLoop: this.#isLooping(),
      error: pid === undefined ? this.#child.error : "",
    };
  }

  get #pid(): number | undefined {
    return this.#adopted?.pid ?? this.#child.pid;
  }

  #arguments(): string[] {
    const { configFile, dataFolder, args } = this.#options;
    return [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${dataFolder}`,
      "--web.enable-lifecycle",
      ...args,
    ];
  }

  /** How it is started, but for the port. */
  get #command(): string {
    return [this.#options.binary, ...this.#arguments()].join(" ");
  }

  #changed(): void {
    const { stateFile, clock } = this.#options;
    const pid = this.#child.pid;
    if (pid !== undefined) {
      this.#startedMs = clock.monotonic();
      this.#tellWhenLoopIsOver();
      // At once, so that a sidecar killed at the next moment has left its note.
      writeState(stateFile, {
        process: identifyProcess(pid),
        port: this.#port,
        command: this.#command,
      });
    } else {
      // The port may belong to somebody else by now.
      void freePort().then(
        (port) => (this.#port = port),
        () => {},
      );
      this.#ended(this.#child.end?.signal === "SIGKILL");
    }
    this.#options.onChange?.();
  }

  /** `wasKilled` is undefined when nobody saw its end. */
  #ended(wasKilled: boolean | undefined): void {
    const { logger, clock } = this.#options;
    if (this.#isStopping) return;
    if (!this.#memoryKills.happened(wasKilled)) return;
    this.#killCount++;
    this.#kills = [...this.#kills, clock.monotonic()].slice(-LOOP_KILLS);
    if (this.#isLooping())
      logger.error(
        "Prometheus runs out of memory again and again: give it more, or lower --shard.max-head-series",
        { kills: this.#killCount },
      );
    else logger.warn("Prometheus ran out of memory", { kills: this.#killCount });
  }

  #tellWhenLoopIsOver(): void {
    this.#cancelLoop();
    if (this.#isLooping())
      this.#cancelLoop = this.#options.clock.after(LOOP_OVER_MS + 1, () =>
        this.#options.onChange?.(),
      );
  }

  #isLooping(): boolean {
    if (this.#kills.length < LOOP_KILLS) return false;
    const nowMs = this.#options.clock.monotonic();
    if (this.#pid !== undefined && nowMs - this.#startedMs > LOOP_OVER_MS) return false;
    return this.#kills.every((atMs, i) => i === 0 || atMs - this.#kills[i - 1]! < LOOP_WITHIN_MS);
  }

  #watchLater(): void {
    this.#cancelWatch = this.#options.clock.after(ADOPTED_WATCH_MS, () => {
      if (this.#isStopping || this.#adopted === undefined) return;
      if (isRunning(this.#adopted)) this.#watchLater();
      else this.#adoptedEnded();
    });
  }

  #adoptedEnded(): void {
    this.#options.logger.warn("process ended by itself", { process: "prometheus" });
    this.#adopted = undefined;
    this.#adoptedRestarts++;
    this.#ended(undefined);
    void freePort().then(
      (port) => {
        if (this.#isStopping) return;
        this.#port = port;
        this.#child.start();
      },
      (error: unknown) => {
        this.#options.logger.error("cannot start Prometheus again", { error });
        this.#watchLater();
      },
    );
  }
}

interface ProcessState {
  readonly process: ProcessIdentity;
  readonly port: number;
  readonly command: string;
}

function writeState(path: string, state: ProcessState): void {
  writeFileSync(`${path}.tmp`, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}

/** Undefined when there is none or it cannot be read: then nothing is known to run. */
function readState(path: string): ProcessState | undefined {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
    const get = (name: string): unknown =>
      typeof parsed === "object" && parsed !== null ? Reflect.get(parsed, name) : undefined;
    const identity = parseIdentity(get("process"));
    const port = get("port");
    const command = get("command");
    if (identity === undefined || typeof port !== "number" || typeof command !== "string")
      return undefined;
    return { process: identity, port, command };
  } catch {
    return undefined;
  }
}
