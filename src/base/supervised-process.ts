import { type ChildProcess, spawn } from "node:child_process";
import type { Clock } from "./clock.ts";
import type { Logger } from "./logger.ts";
import type { Counter, Registry } from "./metrics.ts";

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
  /** How long it may drain after SIGTERM. Default 20 s. */
  readonly drainMs?: number;
}

/** How a child ended. */
export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

const FIRST_RESTART_MS = 100;
const RESTART_MAX_MS = 5_000;
/** A child that ran this long was healthy: its next restart is quick again. */
const HEALTHY_MS = 10_000;
/** After SIGTERM a child has this long to drain, unless told otherwise. */
const DEFAULT_DRAIN_MS = 20_000;

/**
 * Keeps one child process running: a child that ends without being asked is started again, at once the first time, then
 * with doubling pauses. The child leads its own process group, so that a terminal's Ctrl-C reaches only the parent, which
 * then stops its children in order.
 */
export class SupervisedProcess {
  readonly #command: () => ProcessCommand;
  readonly #name: string;
  readonly #deps: SupervisionDependencies;
  readonly #restartCounter: Counter;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #isStopping = false;
  #restarts = 0;
  #failuresInARow = 0;
  #cancelRestart: () => void = () => {};
  #error = "";
  #end: ProcessEnd | undefined;

  /** A function is asked for the command at each start. */
  constructor(
    command: ProcessCommand | (() => ProcessCommand),
    dependencies: SupervisionDependencies,
  ) {
    this.#command = typeof command === "function" ? command : () => command;
    this.#name = this.#command().name;
    this.#deps = dependencies;
    this.#restartCounter = dependencies.registry.counter(
      "shoal_process_restarts_total",
      "Child processes started again after they ended by themselves.",
      { process: this.#name },
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

  /** Undefined while it never did, or when it could not be started at all. */
  get end(): ProcessEnd | undefined {
    return this.#end;
  }

  start(): void {
    const { name, command, args, environment, withChannel } = this.#command();
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
      this.#end = undefined;
      // No process came to be: there will be no exit event.
      if (child.pid === undefined) this.#onEnd(startedMs, resolve);
    });
    child.once("exit", (code, signal) => {
      this.#end = { code, signal };
      this.#error = signal === null ? `it ended with code ${code}` : `it was ended by ${signal}`;
      if (!this.#isStopping)
        logger.warn("process ended by itself", { process: name, why: this.#error });
      this.#onEnd(startedMs, resolve);
    });
    // Of one that could not be started the error event tells.
    if (child.pid === undefined) return;
    logger.debug("process started", { process: name, pid: child.pid });
    onChange?.();
  }

  /** Lets the child drain; ends it by force when that takes too long. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    this.#cancelRestart();
    const child = this.#child;
    if (child === undefined) return;
    child.kill("SIGTERM");
    const cancel = this.#deps.clock.after(this.#deps.drainMs ?? DEFAULT_DRAIN_MS, () => {
      this.#deps.logger.error("process does not drain: it is ended by force", {
        process: this.#name,
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
