import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Counter, Registry } from "../base/metrics.ts";

export interface ProcessCommand {
  /** For logs and metrics: `shard-0`, `query`. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** All of the child's environment. */
  readonly environment: NodeJS.ProcessEnv;
  /** Opens a message channel; the child notices when it closes. */
  readonly withChannel?: boolean;
}

export interface SupervisionDependencies {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** The child started, ended or sent a message. */
  readonly onChange?: () => void;
  readonly onMessage?: (message: unknown) => void;
}

const FIRST_RESTART_MS = 100;
const RESTART_MAX_MS = 5_000;
/** A child that ran this long was healthy: its next restart is quick again. */
const HEALTHY_MS = 10_000;
/** After SIGTERM a child has this long to drain. */
const DRAIN_MS = 20_000;

/**
 * Keeps one child process running: a child that ends without being asked is started again, at once the first time, then
 * with doubling pauses. The child leads its own process group, so that a terminal's Ctrl-C reaches only the parent, which
 * then stops its children in order.
 */
export class SupervisedProcess {
  readonly #command: ProcessCommand;
  readonly #deps: SupervisionDependencies;
  readonly #restartCounter: Counter;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isStopping = false;
  #restarts = 0;
  #failuresInARow = 0;
  #cancelRestart: () => void = () => {};
  #error = "";

  constructor(command: ProcessCommand, dependencies: SupervisionDependencies) {
    this.#command = command;
    this.#deps = dependencies;
    this.#restartCounter = dependencies.registry.counter(
      "shoal_process_restarts_total",
      "Child processes started again after they ended by themselves.",
      { process: command.name },
    );
  }

  /** Undefined while the child is down. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  /** How the child last ended; "" when it never did. */
  get error(): string {
    return this.#error;
  }

  start(): void {
    const { name, command, args, environment, withChannel } = this.#command;
    const { clock, logger, onMessage, onChange } = this.#deps;
    const startedMs = clock.monotonic();
    const child = spawn(command, args, {
      detached: true,
      stdio: ["ignore", "ignore", "inherit", ...(withChannel === true ? (["ipc"] as const) : [])],
      env: environment,
    });
    this.#child = child;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#ended = promise;
    child.on("message", (message) => onMessage?.(message));
    child.once("error", (error) => {
      this.#error = error.message;
      // No process came to be: there will be no exit event.
      if (child.pid === undefined) this.#onEnd(startedMs, resolve);
    });
    child.once("exit", (code, signal) => {
      this.#error = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
      if (!this.#isStopping)
        logger.warn("process ended by itself", { process: name, why: this.#error });
      this.#onEnd(startedMs, resolve);
    });
    if (child.pid !== undefined) logger.debug("process started", { process: name, pid: child.pid });
    onChange?.();
  }

  /** Lets the child drain; ends it by force when that takes too long. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelRestart();
    const child = this.#child;
    if (child === undefined) return;
    child.kill("SIGTERM");
    const cancel = this.#deps.clock.after(DRAIN_MS, () => {
      this.#deps.logger.error("process does not drain: it is ended by force", {
        process: this.#command.name,
      });
      child.kill("SIGKILL");
    });
    await this.#ended;
    cancel();
  }

  #onEnd(startedMs: number, resolve: () => void): void {
    const { clock, onChange } = this.#deps;
    this.#child = undefined;
    resolve();
    if (!this.#isStopping) {
      if (clock.monotonic() - startedMs > HEALTHY_MS) this.#failuresInARow = 0;
      const waitMs = Math.min(FIRST_RESTART_MS * 2 ** this.#failuresInARow++, RESTART_MAX_MS);
      this.#cancelRestart = clock.after(waitMs, () => {
        this.#restarts++;
        this.#restartCounter.inc();
        this.start();
      });
    }
    onChange?.();
  }
}
