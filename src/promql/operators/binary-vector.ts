import { AppError } from "../../base/errors.ts";
import { compareText } from "../../base/text.ts";
import { Labels, METRIC_NAME } from "../../model/labels.ts";
import { labelsShown } from "../annotations.ts";
import type { VectorMatching } from "../ast.ts";
import { calculateColumns, compare, isComparison } from "../functions/arithmetic.ts";
import { combineElements, type Element, StepNotes } from "../functions/binary-elements.ts";
import type { BinaryPlan } from "../plan.ts";
import { collectBoth } from "./collect.ts";
import { arithmeticOf, elementAt, isTrim, putElement } from "./binary-scalar.ts";
import { haveOneName, matchGroups, matchLabels, type MatchGroup } from "./matching.ts";
import { duplicateLabelsError, mergeEqualRows, passOn } from "./merge.ts";
import {
  ABSENT,
  emptyRow,
  FLOAT,
  METADATA_LABELS,
  type QueryContext,
  type Row,
  type VectorOperator,
  visibleLabels,
} from "./row.ts";

/**
 * Arithmetic and comparison between vectors. Series are matched once, group by group, not at every step; a group with
 * one series on either side (the usual one) is computed as whole columns.
 */
export function vectorBinary(
  plan: BinaryPlan & { matching: VectorMatching },
  left: VectorOperator,
  right: VectorOperator,
): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const both = await collectBoth({ left, right }, query);
      const { left: leftInput, right: rightInput } = both;
      const isOneToMany = plan.matching.cardinality === "one-to-many";
      // "Many" is the side whose series are kept apart; it stands left from here on.
      const many = isOneToMany ? rightInput.rows : leftInput.rows;
      const one = isOneToMany ? leftInput.rows : rightInput.rows;
      const join = new Join(plan, query, { many, one, isOneToMany });
      for (const group of matchGroups(many, one, plan.matching)) {
        if (query.budget.isDue()) await query.budget.breathe();
        join.addGroup(group);
      }
      join.tellNotes();
      query.budget.release(leftInput.samples + rightInput.samples + join.heldSamples);
      await passOn(await join.rows(), sink, query.budget);
    },
  };
}

class Join {
  readonly #plan: BinaryPlan & { matching: VectorMatching };
  readonly #query: QueryContext;
  readonly #isOneToMany: boolean;
  readonly #many: readonly Row[];
  readonly #one: readonly Row[];
  readonly #notes = new StepNotes();
  /** The names of the matching, and those that group_left or group_right includes. */
  readonly #matched: ReadonlySet<string>;
  readonly #include: ReadonlySet<string>;
  /** Made when a first note needs it. */
  #orders: Map<Row, number> | undefined;
  /** Steps at which a side has any element at all: without one, nothing is matched and nothing can clash. */
  readonly #anyMany: Uint8Array;
  readonly #anyOne: Uint8Array;
  /** Rows take the labels of "many" with their names, which drop for whoever reads them. */
  readonly #dropsNames: boolean;
  /** In order of appearance; equal ones are joined at the end. */
  readonly #rows: Row[] = [];
  /** Those of the rows that are filled step by step. */
  readonly #stepRows = new Map<string, Row>();
  /** The result labels of each "many" row with the partner it had last. */
  readonly #resultLabelsOf = new Map<Row, { one: Row | undefined; labels: Labels }>();

  constructor(
    plan: BinaryPlan & { matching: VectorMatching },
    query: QueryContext,
    sides: { many: readonly Row[]; one: readonly Row[]; isOneToMany: boolean },
  ) {
    this.#plan = plan;
    this.#query = query;
    this.#matched = new Set(plan.matching.labels);
    this.#include = new Set(plan.matching.include);
    this.#isOneToMany = sides.isOneToMany;
    this.#many = sides.many;
    this.#one = sides.one;
    this.#anyMany = unionOfSteps(sides.many, plan.frame.count);
    this.#anyOne = unionOfSteps(sides.one, plan.frame.count);
    this.#dropsNames = !query.delayedNameRemoval && dropsNamesOnly(plan, sides.many);
  }

  /** Throws when two rows with equal labels have a point at the same step. */
  async rows(): Promise<Iterable<Row>> {
    const { budget } = this.#query;
    if (!this.#dropsNames) return mergeEqualRows(this.#rows, budget);
    // Each is of a group of its own, and groups differ in what is left of the labels.
    if (this.#stepRows.size === 0) return this.#rows;
    for (const row of this.#rows) {
      row.labels = visibleLabels(row, this.#query);
      row.dropName = false;
    }
    return mergeEqualRows(this.#rows, budget);
  }

  tellNotes(): void {
    this.#notes.tell(this.#query, this.#plan.position);
  }

  get heldSamples(): number {
    return this.#rows.length * this.#plan.frame.count;
  }

  addGroup(group: MatchGroup): void {
    const { fillLeft, fillRight } = this.#plan.matching;
    if (fillLeft === undefined && fillRight === undefined) {
      if (group.left.length === 0) {
        this.#checkOneSide(group);
        return;
      }
      if (this.#isUnambiguous(group)) {
        for (const many of group.left) this.#addPair(many, group.right[0]!);
        return;
      }
    }
    for (let k = 0; k < this.#plan.frame.count; k++) this.#addStep(group, k);
  }

  /** Whether every series of the group has one and the same partner and a result of its own, at any step. */
  #isUnambiguous(group: MatchGroup): boolean {
    if (group.right.length !== 1 || isTrim(this.#plan)) return false;
    if (group.right[0]!.histograms !== undefined) return false;
    if (group.left.some((many) => many.histograms !== undefined)) return false;
    if (group.left.length === 1) return true;
    if (this.#plan.matching.cardinality === "one-to-one") return false;
    const one = group.right[0]!;
    const keys = new Set(group.left.map((many) => this.#labelsOfPair(many, one).key()));
    return keys.size === group.left.length;
  }

  /** Fast path: no step can clash, and the columns of `many`, which is read here only, take the result. */
  #addPair(many: Row, one: Row): void {
    const plan = this.#plan;
    const { operator, returnBool } = plan;
    const a = this.#isOneToMany ? one : many;
    const b = this.#isOneToMany ? many : one;
    const { count } = plan.frame;
    const { values, present } = many;
    for (let k = 0; k < count; k++) present[k] = a.present[k]! & b.present[k]!;
    if (isComparison(operator)) {
      for (let k = 0; k < count; k++) {
        if (present[k] === ABSENT) continue;
        const left = a.values[k]!;
        const holds = compare(operator, left, b.values[k]!);
        if (returnBool) values[k] = holds ? 1 : 0;
        else if (holds) values[k] = left;
        else present[k] = ABSENT;
      }
    } else {
      calculateColumns(arithmeticOf(plan), { a: a.values, b: b.values }, values);
    }
    if (!present.includes(FLOAT)) return;
    if (!this.#dropsNames)
      many.labels =
        plan.matching.include.length === 0
          ? this.#resultLabels(many.labels, one.labels)
          : this.#labelsOfPair(many, one);
    many.dropName = this.#dropsNames || returnBool;
    this.#query.budget.hold(count);
    this.#rows.push(many);
  }

  #addStep(group: MatchGroup, k: number): void {
    const { matching } = this.#plan;
    // Prometheus up to 3.15 means the sides it has exchanged for group_right.
    const { fillLeft: fillMany, fillRight: fillOne } = matching;
    const hasFill = fillMany !== undefined || fillOne !== undefined;
    if (!hasFill && (this.#anyMany[k] === ABSENT || this.#anyOne[k] === ABSENT)) return;
    const one = this.#theOne(group, k);
    const seen = new Set<string>();
    let isMatched = false;
    for (const many of group.left) {
      if (many.present[k] === ABSENT) continue;
      if (one === undefined && fillOne === undefined) return;
      const element = this.#combine(k, {
        many,
        a: elementAt(many, k),
        b: one === undefined ? fillOne! : elementAt(one, k),
      });
      if (element === undefined) continue;
      const labels = this.#labelsOfPair(many, one);
      if (matching.cardinality === "one-to-one") {
        if (isMatched)
          throw new AppError(
            "execution",
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)",
          );
      } else if (group.left.length > 1) {
        const key = labels.key();
        if (seen.has(key))
          throw new AppError(
            "execution",
            "multiple matches for labels: grouping labels must ensure unique matches",
          );
        seen.add(key);
      }
      isMatched = true;
      if (element !== "kept out") this.#addPoint(labels, { step: k, element });
    }
    if (!isMatched && one !== undefined && fillMany !== undefined) {
      const labels = this.#resultLabels(matchLabels(one.labels, matching), one.labels);
      const element = this.#combine(k, { many: one, a: fillMany, b: elementAt(one, k) });
      if (element !== undefined && element !== "kept out")
        this.#addPoint(labels, { step: k, element });
    }
  }

  /** The result for one element of the "many" side (`a`) and one of the other; undefined when there can be none. */
  #combine(
    step: number,
    pair: { many: Row; a: Element; b: Element },
  ): Element | "kept out" | undefined {
    const { operator, returnBool } = this.#plan;
    const { element, holds, note } = this.#isOneToMany
      ? combineElements(operator, pair.b, pair.a)
      : combineElements(operator, pair.a, pair.b);
    if (note !== undefined) this.#notes.set(step, note, this.#orderOf(pair.many));
    if (element === undefined) return undefined;
    if (returnBool) return holds ? 1 : 0;
    return holds ? element : "kept out";
  }

  /** Where `row` stands among those that notes are told of in order. */
  #orderOf(row: Row): number {
    this.#orders ??= new Map([...this.#many, ...this.#one].map((known, i) => [known, i]));
    return this.#orders.get(row) ?? 0;
  }

  #addPoint(labels: Labels, point: { step: number; element: Element }): void {
    const plan = this.#plan;
    const key = labels.key();
    let row = this.#stepRows.get(key);
    if (row === undefined) {
      this.#query.budget.hold(plan.frame.count);
      row = emptyRow(labels, plan.frame.count);
      row.dropName = plan.returnBool;
      this.#stepRows.set(key, row);
      this.#rows.push(row);
    }
    put(row, point);
  }

  /** The element of the "one" side at step `k`; two of them are an error. */
  #theOne(group: MatchGroup, k: number): Row | undefined {
    let found: Row | undefined;
    for (const row of group.right) {
      if (row.present[k] === ABSENT) continue;
      if (found !== undefined) throw this.#duplicateError(found, row);
      found = row;
    }
    return found;
  }

  #checkOneSide(group: MatchGroup): void {
    if (group.right.length < 2) return;
    for (let k = 0; k < this.#plan.frame.count; k++)
      if (this.#anyMany[k] !== ABSENT) this.#theOne(group, k);
  }

  #duplicateError(first: Row, second: Row): AppError {
    // In order of text, as Prometheus does after 3.14.0: the same words every time.
    const pair = [labelsShown(first.labels), labelsShown(second.labels)].sort(compareText);
    const side = this.#isOneToMany ? "left" : "right";
    return new AppError(
      "execution",
      `found duplicate series for the match group ${labelsShown(matchLabels(second.labels, this.#plan.matching))} on the ${side} hand-side of the operation: [${pair.join(", ")}];many-to-many matching not allowed: matching labels must be unique on one side`,
    );
  }

  /** Result labels of a pair; without a partner, as if one with only the match group's labels stood there. */
  #labelsOfPair(many: Row, one: Row | undefined): Labels {
    const known = this.#resultLabelsOf.get(many);
    if (known !== undefined && known.one === one) return known.labels;
    const from = one === undefined ? matchLabels(many.labels, this.#plan.matching) : one.labels;
    const labels = this.#resultLabels(many.labels, from);
    // At each step there may be another partner; the last one's labels are then let go.
    if (known === undefined)
      for (const [name, value] of from.only(this.#include))
        this.#query.budget.copyLabel(name, value);
    this.#resultLabelsOf.set(many, { one, labels });
    return labels;
  }

  #resultLabels(many: Labels, one: Labels): Labels {
    const { matching, operator, returnBool } = this.#plan;
    let labels = many;
    const keepsMeaning = isComparison(operator) || isTrim(this.#plan);
    if (!keepsMeaning || (returnBool && !this.#query.delayedNameRemoval))
      labels = labels.without(METADATA_LABELS);
    if (matching.cardinality === "one-to-one") {
      if (matching.on) labels = labels.only(this.#matched);
      else if (matching.labels.length > 0) labels = labels.without(this.#matched);
    }
    if (matching.include.length === 0) return labels;
    return Labels.fromPairs([...labels.without(this.#include), ...one.only(this.#include)]);
  }
}

/** Whether the labels of a result are those of "many" without the metric's name, and no two rows differ in that alone. */
function dropsNamesOnly(
  plan: BinaryPlan & { matching: VectorMatching },
  many: readonly Row[],
): boolean {
  const { matching } = plan;
  const isPlain =
    !isComparison(plan.operator) &&
    !isTrim(plan) &&
    matching.cardinality === "one-to-one" &&
    !matching.on &&
    matching.labels.length === 0;
  if (!isPlain || !haveOneName(many)) return false;
  const others = [...METADATA_LABELS].filter((name) => name !== METRIC_NAME);
  return many.every(({ labels }) => others.every((name) => !labels.has(name)));
}

function put(row: Row, point: { step: number; element: Element }): void {
  if (row.present[point.step] !== ABSENT) throw duplicateLabelsError();
  putElement(row, point.step, point.element);
}

function unionOfSteps(rows: readonly Row[], count: number): Uint8Array {
  const union = new Uint8Array(count);
  for (const { present } of rows) {
    for (let k = 0; k < count; k++) union[k] = union[k]! | present[k]!;
    if (!union.includes(ABSENT)) break;
  }
  return union;
}
