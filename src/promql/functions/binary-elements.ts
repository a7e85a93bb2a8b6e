import { quote } from "../../base/text.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import { withCounterResetHint } from "../../model/histogram.ts";
import {
  addHistograms,
  compactHistogram,
  divideHistogram,
  multiplyHistogram,
  subtractHistograms,
  type HistogramSum,
} from "../../model/histogram-arithmetic.ts";
import { histogramsEqual } from "../../model/histogram-equal.ts";
import { trimHistogram } from "../../model/histogram-trim.ts";
import type { BinaryOperator, Position } from "../ast.ts";
import type { QueryContext } from "../operators/row.ts";
import { calculate, compare, isArithmetic, isComparison } from "./arithmetic.ts";

/** Binary operators between single elements, floats or histograms: the slow way, which also says what goes wrong. */
export type Element = number | FloatHistogram;

export interface Outcome {
  /** What the operator gives (the left side for comparisons); undefined when the two cannot be combined. */
  readonly element: Element | undefined;
  /** False where a comparison does not hold. */
  readonly holds: boolean;
  readonly note?: Note;
}

export interface Note {
  readonly kind: "warning" | "info";
  readonly text: string;
}

export function combineElements(operator: BinaryOperator, a: Element, b: Element): Outcome {
  if (typeof a === "number" && typeof b === "number") {
    if (isArithmetic(operator)) return done(calculate(operator, a, b));
    if (isComparison(operator)) return { element: a, holds: compare(operator, a, b) };
    return incompatible(operator, "float", "float");
  }
  if (typeof a === "number") {
    if (operator === "*" && typeof b !== "number")
      return done(compactHistogram(multiplyHistogram(b, a)));
    return incompatible(operator, "float", "histogram");
  }
  return typeof b === "number" ? withFloat(operator, a, b) : withHistogram(operator, a, b);
}

function withFloat(operator: BinaryOperator, a: FloatHistogram, b: number): Outcome {
  if (operator === "*") return done(compactHistogram(multiplyHistogram(a, b)));
  if (operator === "/") return done(compactHistogram(divideHistogram(a, b)));
  if (operator === "</") return done(trimHistogram(a, { limit: b, keeps: "below" }));
  if (operator === ">/") return done(trimHistogram(a, { limit: b, keeps: "above" }));
  return incompatible(operator, "histogram", "float");
}

function withHistogram(operator: BinaryOperator, a: FloatHistogram, b: FloatHistogram): Outcome {
  if (operator === "+") return summed(operator, addHistograms(a, b));
  if (operator === "-") return summed(operator, subtractHistograms(a, b));
  if (operator === "==") return { element: a, holds: histogramsEqual(a, b) };
  if (operator === "!=") return { element: a, holds: !histogramsEqual(a, b) };
  return incompatible(operator, "histogram", "histogram");
}

function summed(operator: "+" | "-", sum: HistogramSum | undefined): Outcome {
  if (sum === undefined)
    return failed({
      kind: "warning",
      text: `incompatible bucket layout encountered for binary operator ${operator}`,
    });
  const operation = operator === "+" ? "addition" : "subtraction";
  if (sum.counterResetCollision)
    return failed({
      kind: "warning",
      text: `conflicting counter resets during histogram ${operation}`,
    });
  const { histogram } = sum;
  const element = compactHistogram(
    operator === "+" ? histogram : withCounterResetHint(histogram, "gauge"),
  );
  if (!sum.customBoundsReconciled) return done(element);
  const text = `mismatched custom buckets were reconciled during ${operation}`;
  return { element, holds: true, note: { kind: "info", text } };
}

function done(element: Element): Outcome {
  return { element, holds: true };
}

function failed(note: Note): Outcome {
  return { element: undefined, holds: false, note };
}

function incompatible(operator: BinaryOperator, left: string, right: string): Outcome {
  return failed({
    kind: "info",
    text: `incompatible sample types encountered for binary operator ${quote(operator)}: ${left} ${operator} ${right}`,
  });
}

/** As Prometheus, an operator speaks of the last thing that went wrong at each step only. */
export class StepNotes {
  readonly #notes: (Note | undefined)[] = [];
  readonly #orders: number[] = [];

  /** `order` says which of several notes at one step is the last. */
  set(step: number, note: Note, order: number): void {
    if (order < (this.#orders[step] ?? -1)) return;
    this.#notes[step] = note;
    this.#orders[step] = order;
  }

  tell(query: QueryContext, position: Position): void {
    for (const note of this.#notes) {
      if (note === undefined) continue;
      if (note.kind === "info") query.annotations.info(note.text, position);
      else query.annotations.warn(note.text, position);
    }
  }
}
