import type { DemoShard, DemoTarget } from "./demo-state.ts";

/** How the demonstration looks in a terminal: lines that are redrawn in place, or one line a change elsewhere. */
export class DemoScreen {
  readonly #isLive: boolean;
  readonly #write: (text: string) => void;
  #drawnLines = 0;
  #lastText = "";

  constructor(options: { isLive: boolean; write: (text: string) => void }) {
    this.#isLive = options.isLive;
    this.#write = options.write;
  }

  /** A line that stays. */
  say(line: string): void {
    this.#clear();
    this.#write(`${line}\n`);
  }

  /** How things stand now, replacing what was drawn before. */
  draw(lines: readonly string[], summary: string): void {
    if (!this.#isLive) {
      if (summary === "" || summary === this.#lastText) return;
      this.#write(`${summary}\n`);
      this.#lastText = summary;
      return;
    }
    this.#clear();
    this.#write(`${lines.join("\n")}\n`);
    this.#drawnLines = lines.length;
  }

  #clear(): void {
    if (this.#drawnLines > 0) this.#write(`\x1b[${this.#drawnLines}A\x1b[J`);
    this.#drawnLines = 0;
  }
}

const BAR_WIDTH = 30;

/** `shard-0   2 targets  ████████████████████░░░░░░░░░░  20,100 / 30,000 series` for each shard. */
export function shardTable(shards: readonly DemoShard[], limit: number): string[] {
  return shards.map(({ id, state, targets, headSeries }) => {
    const share = Math.min(1, headSeries / limit);
    const full = Math.round(share * BAR_WIDTH);
    const bar = "█".repeat(full) + "░".repeat(BAR_WIDTH - full);
    const load = `${grouped(headSeries).padStart(7)} / ${grouped(limit)} series`;
    const note = state === "ready" ? "" : `  (${state})`;
    return `  ${id.padEnd(9)} ${targets} target${targets === 1 ? " " : "s"}  ${bar} ${load}${note}`;
  });
}

export function summaryLine(
  shards: readonly DemoShard[],
  targets: readonly DemoTarget[],
  total: number,
): string {
  const up = targets.filter((target) => target.health === "up").length;
  const split = shards.map((shard) => shard.targets).join("+");
  const noun = shards.length === 1 ? "shard" : "shards";
  return `  ${up} of ${total} targets up, on ${shards.length} ${noun}${split === "" ? "" : ` (${split})`}`;
}

/** 20,100 */
export function grouped(count: number): string {
  return String(Math.round(count)).replaceAll(/\B(?=(\d{3})+$)/g, ",");
}
