import { AppError } from "../../base/errors.ts";
import { isValidLabelName, METRIC_NAME, type Labels } from "../../model/labels.ts";
import { compileAnchored, type AnchoredRegex } from "../../model/regex.ts";
import type { Budget } from "../budget.ts";
import { collect } from "./collect.ts";
import { mergeEqualRows, passOn } from "./merge.ts";
import { type VectorOperator } from "./row.ts";

/** `label_replace(v, dst, replacement, src, regex)`. */
export function labelReplace(
  operand: VectorOperator,
  options: { destination: string; replacement: string; source: string; regex: string },
): VectorOperator {
  const { destination, replacement, source } = options;
  return relabel(operand, destination, (budget) => {
    const regex = compile(options.regex);
    if (!isValidLabelName(destination))
      throw new AppError(
        "execution",
        `invalid destination label name in label_replace(): ${destination}`,
      );
    const count = (length: number): void => budget.makeLabel(destination, length);
    return (labels) => regex.expand(labels.get(source), replacement, count);
  });
}

function compile(source: string): AnchoredRegex {
  try {
    return compileAnchored(source);
  } catch (thrown) {
    throw new AppError("execution", `invalid regular expression in label_replace(): ${source}`, {
      cause: thrown,
    });
  }
}

/** `label_join(v, dst, separator, src…)`. */
export function labelJoin(
  operand: VectorOperator,
  options: { destination: string; separator: string; sources: readonly string[] },
): VectorOperator {
  const { destination, separator, sources } = options;
  return relabel(operand, destination, (budget) => {
    for (const source of sources)
      if (!isValidLabelName(source))
        throw new AppError("execution", `invalid source label name in label_join(): ${source}`);
    if (!isValidLabelName(destination))
      throw new AppError(
        "execution",
        `invalid destination label name in label_join(): ${destination}`,
      );
    return (labels) => {
      // Labels may be bytes, of which each `get` makes a text of its own, and the sources one label many times.
      const texts = new Map(labels);
      const values = sources.map((source) => texts.get(source) ?? "");
      let length = separator.length * Math.max(0, values.length - 1);
      for (const value of values) length += value.length;
      budget.makeLabel(destination, length);
      return values.join(separator);
    };
  });
}

/**
 * Sets `destination` of every series to what the prepared function says, which counts it in the budget; undefined leaves
 * it as it is.
 */
function relabel(
  operand: VectorOperator,
  destination: string,
  prepare: (budget: Budget) => (labels: Labels) => string | undefined,
): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const valueOf = prepare(query.budget);
      const { rows, samples } = await collect(operand, query);
      for (const row of rows) {
        if (query.budget.isDue()) await query.budget.breathe();
        const value = valueOf(row.labels);
        if (value === undefined) continue;
        row.labels = row.labels.with(destination, value);
        // A name given on purpose is not one to be dropped later.
        if (destination === METRIC_NAME) row.dropName = false;
      }
      query.budget.release(samples);
      await passOn(await mergeEqualRows(rows, query.budget), sink, query.budget);
    },
  };
}
