import { AppError, messageOf } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { Labels } from "./labels.ts";
import { compileAnchored } from "./regex.ts";

/** Labels whose values say nothing about which target it is: they change while the target stays the same. */
export class VolatileLabels {
  readonly #patterns: readonly { matches(name: string): boolean }[];
  readonly #verdicts = new Map<string, boolean>();

  /** `patterns` are label names, or RE2 expressions for whole names. Throws `bad-data` for one that cannot be used. */
  constructor(patterns: readonly string[]) {
    this.#patterns = patterns.map((pattern) => {
      try {
        const compiled = compileAnchored(pattern);
        if (!compiled.matches("job")) return compiled;
      } catch (error) {
        throw new AppError(
          "bad-data",
          `cannot ignore labels ${quote(pattern)}: ${messageOf(error)}`,
        );
      }
      // Planner and shards tell targets of all jobs apart by their hash alone.
      throw new AppError("bad-data", `cannot ignore labels ${quote(pattern)}: job is one of them`);
    });
  }

  has(name: string): boolean {
    let verdict = this.#verdicts.get(name);
    if (verdict === undefined) {
      verdict = this.#patterns.some((pattern) => pattern.matches(name));
      this.#verdicts.set(name, verdict);
    }
    return verdict;
  }

  /** Those of `labels`. */
  namesIn(labels: Labels): string[] {
    const names: string[] = [];
    for (let i = 0; i < labels.count; i++)
      if (this.has(labels.nameAt(i))) names.push(labels.nameAt(i));
    return names;
  }
}
