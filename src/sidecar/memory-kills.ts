import { readFileSync } from "node:fs";

/** Reads the text of a file; throws when it cannot. */
type ReadText = (path: string) => string;

/**
 * Tells whether the kernel has killed a process of our control group because memory had run out: it counts such kills in
 * `memory.events` (version 2) or `memory.oom_control` (version 1). Where it does not tell, a SIGKILL that nobody here has
 * sent is taken for one.
 */
export class MemoryKills {
  readonly #read: ReadText;
  #known: number | undefined;

  constructor(read: ReadText = (path) => readFileSync(path, "utf8")) {
    this.#read = read;
  }

  /** Takes note of the count; undefined where the system does not tell. */
  read(): number | undefined {
    this.#known = this.#count();
    return this.#known;
  }

  /** Whether a process that just ended was one of them; `wasKilled` by SIGKILL, undefined when nobody saw its end. */
  happened(wasKilled: boolean | undefined): boolean {
    const before = this.#known;
    const now = this.read();
    if (before === undefined || now === undefined) return wasKilled === true;
    return wasKilled !== false && now > before;
  }

  #count(): number | undefined {
    for (const path of this.#paths()) {
      try {
        const found = /^oom_kill (\d+)$/m.exec(this.#read(path));
        if (found !== null) return Number(found[1]);
      } catch {
        // The other version, or no control groups.
      }
    }
    return undefined;
  }

  #paths(): string[] {
    let groups = "";
    try {
      groups = this.#read("/proc/self/cgroup");
    } catch {
      return [];
    }
    const unified = /^0::(.*)$/m.exec(groups)?.[1];
    const memory = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1];
    // A container sees its own group at the root.
    return [
      ...(memory === undefined ? [] : [memory, ""]).map(
        (group) => `/sys/fs/cgroup/memory${group}/memory.oom_control`,
      ),
      ...(unified === undefined ? [] : [unified, ""]).map(
        (group) => `/sys/fs/cgroup${group}/memory.events`,
      ),
    ];
  }
}
