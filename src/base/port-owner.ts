import { readdir, readFile, readlink } from "node:fs/promises";
import { basename } from "node:path";

/**
 * Who listens on TCP `port`, as `process 123 (prometheus)`, where the system tells (Linux's /proc, own processes or
 * root); undefined elsewhere.
 */
export async function listenerOf(port: number): Promise<string | undefined> {
  try {
    const inode = await listeningInode(port);
    if (inode === undefined) return undefined;
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
      for (const descriptor of descriptors) {
        const link = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => "");
        if (link === `socket:[${inode}]`) return `process ${pid} (${await programOf(pid)})`;
      }
    }
  } catch {
    // No /proc: the answer is only a help in a message.
  }
  return undefined;
}

/** The program and, for an interpreter, its script; no further arguments, which may hold secrets. */
export async function programOf(pid: string): Promise<string> {
  const [program = "", ...args] = (await readFile(`/proc/${pid}/cmdline`, "utf8")).split("\0");
  const script = args.find((arg) => arg !== "" && !arg.startsWith("-"));
  return script === undefined || !/^(?:node|python|ruby|java|perl)/.test(basename(program))
    ? basename(program)
    : `${basename(program)} ${basename(script)}`;
}

async function listeningInode(port: number): Promise<string | undefined> {
  const LISTEN = "0A";
  const hexPort = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    const rows = await readFile(table, "utf8").catch(() => "");
    for (const row of rows.split("\n").slice(1)) {
      const fields = row.trim().split(/\s+/);
      if (fields[1]?.endsWith(`:${hexPort}`) === true && fields[3] === LISTEN) return fields[9];
    }
  }
  return undefined;
}
