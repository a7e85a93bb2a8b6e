import { type FileHandle, open, readFile, rename, stat } from "node:fs/promises";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { DecisionSink, LoggedDecision } from "./decision-log.ts";
import type { DecisionKind } from "./plan-types.ts";
import { timeText } from "./wire.ts";

/**
 * Decisions as JSON lines, so that a restarted coordinator still knows why things are where they are, and people can
 * read them with grep:
 *
 *     {"id":7,"time":"2026-01-02T03:04:05.678Z","kind":"move","hash":"…","job":"…","url":"…","from":"…","to":"…","reason":"…"}
 *
 * When the file is full it becomes `<path>.1`, replacing the one before, and a new one begins with all that the log
 * remembers: each file is enough by itself. Nothing is forced to disk: what a power cut takes explains, but decides nothing.
 */
export interface DecisionFileOptions {
  readonly path: string;
  readonly logger: Logger;
  /** A file larger than this is set aside. Default DECISION_FILE_MAX_BYTES. */
  readonly maxBytes?: number;
}

/** Some 60,000 decisions; two such files are kept. */
export const DECISION_FILE_MAX_BYTES = 16 * 1024 * 1024;

export class DecisionFile implements DecisionSink {
  readonly #path: string;
  readonly #logger: Logger;
  readonly #maxBytes: number;
  #file: FileHandle | undefined;
  #size = 0;
  /** What the file began with does not count: many targets must not turn every line into a new file. */
  #baseSize = 0;
  #pending = "";
  #all: () => readonly LoggedDecision[] = () => [];
  /** A line was lost or torn: the next write writes everything anew. */
  #isBroken = false;
  #writing: Promise<void> | undefined;

  constructor({ path, logger, maxBytes = DECISION_FILE_MAX_BYTES }: DecisionFileOptions) {
    this.#path = path;
    this.#logger = logger;
    this.#maxBytes = maxBytes;
  }

  /** Opens the file for appending and returns what is in it. Rejects when the path cannot be written. */
  async open(): Promise<readonly LoggedDecision[]> {
    // The file before is read when a crash came between its setting aside and the new file.
    const text = (await readText(this.#path)) ?? (await readText(`${this.#path}.1`)) ?? "";
    const { entries, skipped } = parseDecisions(text);
    if (skipped > 0)
      this.#logger.warn("left out decisions that cannot be read", {
        file: this.#path,
        lines: skipped,
      });
    try {
      this.#file = await open(this.#path, "a", 0o600);
      this.#size = (await this.#file.stat()).size;
    } catch (error) {
      throw new AppError("unavailable", `cannot write ${this.#path}: ${messageOf(error)}`, {
        cause: error,
      });
    }
    this.#isBroken = skipped > 0 || (text !== "" && !text.endsWith("\n"));
    return entries;
  }

  append(decisions: readonly LoggedDecision[], all: () => readonly LoggedDecision[]): void {
    this.#all = all;
    this.#pending += encodeDecisions(decisions);
    // A disk that hangs must not fill the memory.
    if (this.#pending.length > this.#maxBytes) {
      this.#pending = "";
      this.#isBroken = true;
    }
    this.#writing ??= this.#write().finally(() => {
      this.#writing = undefined;
    });
  }

  /** Resolves when everything is written, or cannot be. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async close(): Promise<void> {
    await this.flush();
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Never rejects: what explains the work must not stop it. */
  async #write(): Promise<void> {
    while (this.#pending !== "" || this.#isBroken) {
      const lines = this.#pending;
      this.#pending = "";
      try {
        if (this.#isBroken || this.#size - this.#baseSize > this.#maxBytes) await this.#replace();
        else {
          await this.#file?.appendFile(lines);
          this.#size += Buffer.byteLength(lines);
        }
      } catch (error) {
        if (!this.#isBroken)
          this.#logger.warn("cannot write the decision log", { file: this.#path, error });
        this.#isBroken = true;
        return;
      }
    }
  }

  /** Sets the file aside and begins a new one with all that is remembered. */
  async #replace(): Promise<void> {
    const text = encodeDecisions(this.#all());
    const draft = `${this.#path}.tmp`;
    const file = await open(draft, "w", 0o600);
    try {
      await file.writeFile(text);
      await rename(this.#path, `${this.#path}.1`).catch((error: unknown) => {
        // Somebody has removed it.
        if (systemCode(error) !== "ENOENT") throw error;
      });
      await rename(draft, this.#path);
    } catch (error) {
      await file.close();
      throw error;
    }
    await this.#file?.close();
    this.#file = file;
    this.#size = Buffer.byteLength(text);
    this.#baseSize = this.#size;
    this.#isBroken = false;
  }
}

export function encodeDecisions(entries: readonly LoggedDecision[]): string {
  return entries
    .map(
      ({ id, timeMs, ...decision }) =>
        `${JSON.stringify({ id, time: timeText(timeMs), ...decision })}\n`,
    )
    .join("");
}

/** The decisions of a file, by id; lines that are none (the last one may be torn) are counted and left out. */
export function parseDecisions(text: string): {
  entries: readonly LoggedDecision[];
  skipped: number;
} {
  const entries: LoggedDecision[] = [];
  let skipped = 0;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const entry = parseDecision(line);
    if (entry === undefined) skipped++;
    else entries.push(entry);
  }
  return { entries: entries.sort((a, b) => a.id - b.id), skipped };
}

function parseDecision(line: string): LoggedDecision | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { id, time, kind, reason, ...rest } = parsed as Readonly<Record<string, unknown>>;
  const timeMs = typeof time === "string" ? Date.parse(time) : NaN;
  if (!Number.isSafeInteger(id) || Number.isNaN(timeMs)) return undefined;
  if (typeof kind !== "string" || typeof reason !== "string") return undefined;
  const texts = Object.entries(rest).filter(([, value]) => typeof value === "string");
  // A kind that only a newer version knows is shown as it is written.
  return {
    ...Object.fromEntries(texts),
    id: id as number,
    timeMs,
    kind: kind as DecisionKind,
    reason,
  };
}

async function readText(path: string): Promise<string | undefined> {
  try {
    // A folder or a device in its place is told by opening it for writing.
    if (!(await stat(path)).isFile()) return undefined;
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new AppError("unavailable", `cannot read ${path}`, { cause: error });
  }
}
