import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseIdentity, type ProcessIdentity } from "../base/process-identity.ts";
import { writeFileAtomic } from "../base/atomic-file.ts";

/** `shard.json` in a running shard's data folder: who it is and where it listens. */
export interface ShardFile {
  readonly process: ProcessIdentity;
  /** How it was started; a shard that would be started otherwise now is replaced instead of taken over. */
  readonly command: string;
  /** `host:port` of the control API. */
  readonly http: string;
  /** `host:port` of the StoreAPI. */
  readonly grpc: string;
}

const FILE = "shard.json";

export async function writeShardFile(folder: string, file: ShardFile): Promise<void> {
  await writeFileAtomic(join(folder, FILE), `${JSON.stringify(file)}\n`);
}

export async function removeShardFile(folder: string): Promise<void> {
  await rm(join(folder, FILE), { force: true });
}

/** What `command` in the file holds for a process of `version` with these arguments after the program's name. */
export function describeCommand(version: string, args: readonly string[]): string {
  return [version, ...args].join(" ");
}

/** Undefined when there is none or it cannot be read: then nothing is known to run there. */
export async function readShardFile(folder: string): Promise<ShardFile | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(join(folder, FILE), "utf8"));
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const identity = parseIdentity("process" in parsed ? parsed.process : undefined);
    const command = "command" in parsed ? parsed.command : undefined;
    const http = "http" in parsed ? parsed.http : undefined;
    const grpc = "grpc" in parsed ? parsed.grpc : undefined;
    if (identity === undefined || typeof http !== "string" || typeof grpc !== "string")
      return undefined;
    return { process: identity, command: typeof command === "string" ? command : "", http, grpc };
  } catch {
    return undefined;
  }
}
