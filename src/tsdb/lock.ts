import { createHash, randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { flockHolder, tryFlock } from "../base/flock.ts";
import { type Logger, silentLogger } from "../base/logger.ts";
import { repeatInBackground } from "../base/repeat.ts";
import { livenessOf, type LockOwner, parseLockOwner, thisProcess } from "./lock-owner.ts";

/**
 * One process owns a data folder. What keeps others out, each where the one before does not reach:
 *
 * - An abstract Unix socket named after the folder's device and inode, on Linux: all Shoals of one network namespace.
 * - flock(2) on the file `lock`, which Prometheus takes too: everybody on the machine, in whatever container. The kernel
 *   gives up both in the moment the owner dies, so kill -9 leaves nothing to clean up.
 * - The text of `lock`, which names the owner: its process is looked for where it can be seen, and where it cannot, the
 *   owner is alive while it sets the file's time anew.
 */
export interface FolderLock {
  /** Rejects when another process has taken the folder all the same: nothing more may be written. */
  readonly lost: Promise<never>;
  release(): Promise<void>;
}

export interface LockOptions {
  /** Default: says nothing. */
  readonly logger?: Logger;
  /** How often the owner sets the file's time. Default 5 s. */
  readonly beatMs?: number;
  /** An owner elsewhere that has not done so for this long is gone. Default 15 s. */
  readonly staleMs?: number;
}

const BEAT_MS = 5_000;
const STALE_MS = 15_000;
/** How often the file of an owner elsewhere is looked at. */
const WATCH_MS = 250;
/** Others take and release the folder while this process tries. */
const ATTEMPTS_MAX = 100;

/**
 * Makes `folder` this process's own, creating it when needed. Throws `already-exists` naming the owner's pid when
 * another live process has it; takes up to `staleMs` when only the file's time can tell.
 */
export async function lockFolder(folder: string, options: LockOptions = {}): Promise<FolderLock> {
  let server: Server | undefined;
  try {
    await mkdir(folder, { recursive: true });
    if (process.platform === "linux") server = await holdSocket(folder);
    const lock = new HeldFolder(folder, server, options);
    await lock.take();
    return lock;
  } catch (error) {
    await closeServer(server);
    throw error instanceof AppError
      ? error
      : new AppError("unavailable", `cannot lock data folder ${folder}: ${messageOf(error)}`, {
          cause: error,
        });
  }
}

class HeldFolder implements FolderLock {
  readonly lost: Promise<never>;
  readonly #folder: string;
  readonly #path: string;
  readonly #server: Server | undefined;
  readonly #logger: Logger;
  readonly #beatMs: number;
  readonly #staleMs: number;
  readonly #id = randomUUID();
  #file: FileHandle | undefined;
  #text = "";
  #stopBeating = async (): Promise<void> => {};
  #lose: (error: AppError) => void = () => {};

  constructor(folder: string, server: Server | undefined, options: LockOptions) {
    this.#folder = folder;
    this.#path = join(folder, "lock");
    this.#server = server;
    this.#logger = options.logger ?? silentLogger;
    this.#beatMs = options.beatMs ?? BEAT_MS;
    this.#staleMs = options.staleMs ?? STALE_MS;
    this.lost = new Promise((_, reject) => (this.#lose = reject));
    // Whoever does not wait for it is told by the log.
    this.lost.catch(() => {});
  }

  async take(): Promise<void> {
    await this.#claim();
    this.#stopBeating = repeatInBackground(this.#beatMs, () => this.#beat());
  }

  async release(): Promise<void> {
    await this.#stopBeating();
    const isOurs = (await readOwner(this.#path))?.id === this.#id;
    if (isOurs) await rm(this.#path, { force: true });
    await this.#file?.close();
    this.#file = undefined;
    await closeServer(this.#server);
  }

  async #claim(): Promise<void> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const file = await open(this.#path, constants.O_RDWR | constants.O_CREAT, 0o666);
      if (await this.#claimFile(file).catch(closeAndThrow(file))) {
        this.#file = file;
        return;
      }
      await file.close();
    }
    throw owned(this.#folder, "another process");
  }

  /** False when the file was removed meanwhile, which its owner does last. */
  async #claimFile(file: FileHandle): Promise<boolean> {
    const flock = await tryFlock(file.fd);
    const self = thisProcess({ id: this.#id, hasFlock: flock === "held" });
    const owner = await readOwner(this.#path);
    const stats = await file.stat({ bigint: true });
    if (flock === "refused") throw owned(this.#folder, await nameOf(owner, self, stats));
    const holder = flock === "unknown" ? await flockHolder(stats) : undefined;
    if (holder !== undefined) throw owned(this.#folder, holder);
    if ((await inodeOf(this.#path)) !== stats.ino) return false;
    if (owner !== undefined) {
      const liveness = livenessOf(owner, self);
      if (liveness === "alive") throw owned(this.#folder, `process ${owner.pid}`);
      if (liveness === "elsewhere" && !(await this.#outlive(owner, file))) return false;
    }
    this.#text = `${JSON.stringify(self)}\n`;
    await file.write(this.#text, 0);
    await file.truncate(Buffer.byteLength(this.#text));
    return true;
  }

  /**
   * Waits until the owner has not set the file's time for so long that it must be gone. Throws when it sets it; false
   * when it removes the file.
   */
  async #outlive(owner: LockOwner, file: FileHandle): Promise<boolean> {
    const { mtimeMs, ino } = await file.stat();
    // A time that is ahead of ours is fresh.
    const ageMs = Math.max(0, systemClock.now() - mtimeMs);
    const fields = { folder: this.#folder, pid: owner.pid, host: owner.host };
    const waitMs = this.#staleMs - ageMs;
    if (waitMs > 0)
      this.#logger.info("waiting for a sign of life of the data folder's owner elsewhere", {
        ...fields,
        wait_ms: Math.round(waitMs),
      });
    const deadline = systemClock.monotonic() + waitMs;
    while (systemClock.monotonic() < deadline) {
      await systemClock.sleep(WATCH_MS);
      const now = await stat(this.#path).catch(missing);
      if (now?.ino !== ino) return false;
      if (now.mtimeMs !== mtimeMs) throw owned(this.#folder, nameElsewhere(owner));
    }
    this.#logger.warn("took over the data folder of an owner that gives no sign of life", {
      ...fields,
      silent_ms: Math.round(Math.max(ageMs, this.#staleMs)),
    });
    return true;
  }

  /** Sets the file's time, and sees whether it still names this process. */
  async #beat(): Promise<void> {
    try {
      const owner = await readOwner(this.#path);
      if (owner?.id === this.#id) {
        const now = new Date(systemClock.now());
        await this.#file?.utimes(now, now);
      } else if (owner !== undefined) this.#lost(nameElsewhere(owner));
      else await this.#restore();
    } catch (error) {
      if (error instanceof AppError) this.#lost(error.message);
      else this.#logger.warn("cannot refresh the lock of the data folder", { error });
    }
  }

  /** Somebody emptied or removed the file, or made another one. */
  async #restore(): Promise<void> {
    const inode = await inodeOf(this.#path);
    if (inode !== undefined && inode === (await this.#file?.stat({ bigint: true }))?.ino)
      await this.#file?.write(this.#text, 0);
    else if (inode !== undefined) this.#lost("another process");
    else {
      this.#logger.warn("the file that locks the data folder is gone, making it anew", {
        file: this.#path,
      });
      const gone = this.#file;
      await this.#claim();
      await gone?.close();
    }
  }

  #lost(name: string): void {
    const error = new AppError(
      "already-exists",
      `data folder ${this.#folder} was taken over: ${name}`,
    );
    this.#logger.error("stopping: another process has the data folder", { error });
    this.#lose(error);
    // Which waits for the beat that this is.
    void this.#stopBeating();
  }
}

function closeAndThrow(file: FileHandle): (error: unknown) => Promise<never> {
  return async (error) => {
    await file.close();
    throw error;
  };
}

function owned(folder: string, name: string): AppError {
  return new AppError("already-exists", `cannot lock data folder ${folder}: ${name} is using it`);
}

/** Who refuses the flock: the process that the file names, if it is there, or the one that the system knows. */
async function nameOf(
  owner: LockOwner | undefined,
  self: LockOwner,
  stats: Parameters<typeof flockHolder>[0],
): Promise<string> {
  // This one does not have the flock, which may prove that others are gone.
  const liveness = owner && livenessOf(owner, { ...self, hasFlock: false });
  if (owner !== undefined && liveness === "alive") return `process ${owner.pid}`;
  const holder = await flockHolder(stats);
  if (holder !== undefined) return holder;
  return owner !== undefined && liveness === "elsewhere" ? nameElsewhere(owner) : "another process";
}

function nameElsewhere({ pid, host }: LockOwner): string {
  return `process ${pid} of another container or machine (${host})`;
}

async function holdSocket(folder: string): Promise<Server> {
  const { dev, ino } = await stat(folder, { bigint: true });
  const name = createHash("sha256").update(`${hostname()} ${dev} ${ino}`).digest("hex");
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      if (systemCode(error) !== "EADDRINUSE") return reject(error);
      readOwner(join(folder, "lock")).then(
        (owner) =>
          reject(owned(folder, owner === undefined ? "another process" : `process ${owner.pid}`)),
        reject,
      );
    });
    server.listen(`\0shoal-data-${name.slice(0, 32)}`, () => resolve(server));
  });
}

function closeServer(server: Server | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (server === undefined) resolve();
    else server.close(() => resolve());
  });
}

async function readOwner(path: string): Promise<LockOwner | undefined> {
  const text = await readFile(path, "utf8").catch(missing);
  return text === undefined ? undefined : parseLockOwner(text);
}

async function inodeOf(path: string): Promise<bigint | undefined> {
  return (await stat(path, { bigint: true }).catch(missing))?.ino;
}

function missing(error: unknown): undefined {
  if (systemCode(error) !== "ENOENT") throw error;
}
