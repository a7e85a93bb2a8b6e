import { createHash } from "node:crypto";
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { join } from "node:path";
import { AppError, messageOf, systemCode } from "../base/errors.ts";

/**
 * One process owns a data folder. On Linux the owner holds an abstract Unix socket named after the folder's device and
 * inode: taking it is atomic, and the kernel gives it up in the moment the owner dies, so kill -9 leaves nothing to clean
 * up. The file `lock` names the owner for people and, elsewhere and across network namespaces, is the lock itself.
 */
export interface FolderLock {
  release(): Promise<void>;
}

interface Owner {
  readonly pid: number;
  /** When the process started, in the system's own unit, to tell it from a later process with the same pid. */
  readonly startTime: string;
  readonly host: string;
}

/**
 * Makes `folder` this process's own, creating it when needed. Throws `already-exists` naming the owner's pid when
 * another live process has it.
 */
export async function lockFolder(folder: string): Promise<FolderLock> {
  const path = join(folder, "lock");
  let server: Server | undefined;
  try {
    await mkdir(folder, { recursive: true });
    if (process.platform === "linux") server = await holdSocket(folder, path);
    const owner = await readOwner(path);
    if (owner !== undefined && (await isAlive(owner))) throw owned(folder, owner);
    await writeFile(path, `${JSON.stringify(await self())}\n`);
  } catch (error) {
    await closeServer(server);
    throw error instanceof AppError
      ? error
      : new AppError("unavailable", `cannot lock data folder ${folder}: ${messageOf(error)}`, {
          cause: error,
        });
  }
  return {
    async release() {
      await rm(path, { force: true });
      await closeServer(server);
    },
  };
}

function owned(folder: string, owner: Owner | undefined): AppError {
  const by = owner === undefined ? "another process" : `process ${owner.pid}`;
  return new AppError("already-exists", `cannot lock data folder ${folder}: ${by} is using it`);
}

async function holdSocket(folder: string, path: string): Promise<Server> {
  const { dev, ino } = await stat(folder, { bigint: true });
  const name = createHash("sha256").update(`${hostname()} ${dev} ${ino}`).digest("hex");
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", (error) => {
      if (systemCode(error) === "EADDRINUSE")
        readOwner(path).then((owner) => reject(owned(folder, owner)), reject);
      else reject(error);
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

async function readOwner(path: string): Promise<Owner | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, "utf8"));
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const { pid, startTime, host } = parsed as Partial<Owner>;
    return typeof pid === "number" && typeof startTime === "string" && typeof host === "string"
      ? { pid, startTime, host }
      : undefined;
  } catch (error) {
    // No file, an empty one of a Prometheus, or a torn one of a process that died writing it: nobody is named.
    if (error instanceof SyntaxError || systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function self(): Promise<Owner> {
  return { pid: process.pid, startTime: await startTimeOf(process.pid), host: hostname() };
}

/** Whether the owner still runs. An owner on another host cannot be asked; volumes keep those apart. */
async function isAlive(owner: Owner): Promise<boolean> {
  if (owner.host !== hostname()) return false;
  if (owner.pid === process.pid && owner.startTime === (await startTimeOf(process.pid)))
    // This process wrote the file. On Linux the socket says whether it still holds the folder, and it does not.
    return process.platform !== "linux";
  try {
    process.kill(owner.pid, 0);
  } catch (error) {
    return systemCode(error) === "EPERM";
  }
  return owner.startTime === (await startTimeOf(owner.pid));
}

/** Field 22 of /proc/<pid>/stat; "" where there is no /proc, and then the pid alone decides. */
async function startTimeOf(pid: number): Promise<string> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, "utf8");
    return line.slice(line.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
