import { mapKey } from "../../base/map-key.ts";
import { AppError } from "../../base/errors.ts";
import { Labels, METRIC_NAME } from "../../model/labels.ts";
import { createMatcher, type Matcher } from "../../model/matcher.ts";
import { labelsShown } from "../annotations.ts";
import type { Budget } from "../budget.ts";
import type { CallPlan, Frame, Plan, Reference, SelectorPlan } from "../plan.ts";
import { collect } from "./collect.ts";
import { mergeEqualRows, passOn } from "./merge.ts";
import {
  ABSENT,
  copyPoint,
  emptyRow,
  type QueryContext,
  type Row,
  type VectorOperator,
} from "./row.ts";
import { instantSelector } from "./select.ts";

/**
 * `info(v, {selector})`: adds to each series of `v` the data labels of the info series (`target_info` unless the
 * selector names others) that describe the same target at that step.
 */
const IDENTIFYING_LABELS = ["instance", "job"];
/** Where the operand has no selector that would say how far back to look. */
const DEFAULT_LOOKBACK_MS = 300_000;
const DEFAULT_INFO_METRIC = "target_info";

export function infoOperator(operand: VectorOperator, plan: CallPlan): VectorOperator {
  const { frame, args } = plan;
  const selector = args[1]?.kind === "select" ? args[1].selector.matchers : undefined;
  const written = selector?.filter((matcher) => matcher.name === METRIC_NAME) ?? [];
  const nameMatchers = effectiveNameMatchers(written);
  const dataMatchers = selector?.filter((matcher) => matcher.name !== METRIC_NAME) ?? [];
  return {
    kind: "vector",
    async stream(query, sink) {
      const base = await collect(operand, query);
      const isInfo = (row: Row): boolean =>
        nameMatchers.every((matcher) => matcher.matches(row.labels.get(METRIC_NAME)));
      const described = base.rows.filter((row) => !isInfo(row));
      const identifying = identifyingMatchers(described);
      let info: Row[] = [];
      if (identifying.length > 0) {
        const place = firstPlace(args[0]!) ?? {
          reference: { atMs: undefined, offsetMs: 0 },
          lookbackMs: DEFAULT_LOOKBACK_MS,
        };
        const matchers = [...identifying, ...dataMatchers, ...nameMatchers];
        const infoSelector = planInfoSelector(matchers, { frame, ...place });
        const times = instantSelector(infoSelector, frame, { reads: "infoTime" });
        info = (await collect(keepNames(times), query)).rows;
      }
      const outputs = base.rows.filter(isInfo);
      const byMetric = groupInfo(info);
      for (const row of described) {
        if (query.budget.isDue()) await query.budget.breathe();
        outputs.push(
          ...describe(row, {
            byMetric,
            dataMatchers,
            frame,
            budget: query.budget,
            hasSelector: selector !== undefined && dataMatchers.length > 0,
          }),
        );
      }
      query.budget.release(base.samples);
      await passOn(await mergeEqualRows(outputs, query.budget), sink, query.budget);
    },
  };
}

/** A selector with only negative conditions on the name means all `…_info` metrics but those. */
function effectiveNameMatchers(written: readonly Matcher[]): readonly Matcher[] {
  if (written.length === 0) return [createMatcher(METRIC_NAME, "=", DEFAULT_INFO_METRIC)];
  if (written.some(({ operator }) => operator === "=" || operator === "=~")) return written;
  return [createMatcher(METRIC_NAME, "=~", ".+_info"), ...written];
}

function identifyingMatchers(rows: readonly Row[]): Matcher[] {
  const matchers: Matcher[] = [];
  for (const name of IDENTIFYING_LABELS) {
    const values = new Map<string, string>();
    for (const { labels } of rows) {
      const value = labels.get(name);
      if (value !== "") values.set(mapKey(value), value);
    }
    if (values.size === 0) continue;
    const pattern = [...values.values()].map(escapeRegex).join("|");
    matchers.push(createMatcher(name, "=~", pattern));
  }
  return matchers;
}

function escapeRegex(text: string): string {
  return text.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
}

/** The info series are read where the first selector of the operand reads. */
function firstPlace(plan: Plan): { reference: Reference; lookbackMs: number } | undefined {
  switch (plan.kind) {
    case "select":
    case "window":
      return plan.selector;
    case "subquery": {
      const inner = firstPlace(plan.operand);
      if (inner === undefined || inner.reference.atMs !== undefined) return inner;
      const offsetMs = inner.reference.offsetMs + plan.reference.offsetMs;
      return { ...inner, reference: { atMs: plan.reference.atMs, offsetMs } };
    }
    case "negate":
    case "invariant":
    case "aggregate":
      return firstPlace(plan.operand);
    case "binary":
      return firstPlace(plan.left) ?? firstPlace(plan.right);
    case "call":
      for (const argument of plan.args) {
        const found = firstPlace(argument);
        if (found !== undefined) return found;
      }
      return undefined;
    case "number":
    case "string":
      return undefined;
  }
}

function planInfoSelector(
  matchers: readonly Matcher[],
  place: { frame: Frame; reference: Reference; lookbackMs: number },
): SelectorPlan {
  const { frame, reference, lookbackMs } = place;
  const firstMs = (reference.atMs ?? frame.startMs) - reference.offsetMs;
  const span = reference.atMs === undefined ? Math.max(0, frame.count - 1) * frame.stepMs : 0;
  return {
    matchers,
    minTimeMs: firstMs - lookbackMs + 1,
    maxTimeMs: firstMs + span,
    hints: { stepMs: frame.stepMs, func: "info", rangeMs: 0, grouping: [], by: false },
    reference,
    rangeMs: 0,
    lookbackMs,
    anchored: false,
    smoothed: false,
  };
}

/** Info series are told apart by their names, which the times of their samples would drop. */
function keepNames(operator: VectorOperator): VectorOperator {
  return {
    kind: "vector",
    stream: (query: QueryContext, sink) =>
      operator.stream(query, (row) => {
        row.dropName = false;
        sink(row);
      }),
  };
}

/** Info series by metric name, then by target. Their values are the times of their samples in seconds. */
type InfoIndex = ReadonlyMap<string, ReadonlyMap<string, readonly Row[]>>;

function groupInfo(rows: readonly Row[]): InfoIndex {
  const byMetric = new Map<string, Map<string, Row[]>>();
  for (const row of rows) {
    const name = row.labels.get(METRIC_NAME);
    let byTarget = byMetric.get(name);
    if (byTarget === undefined) byMetric.set(name, (byTarget = new Map<string, Row[]>()));
    const key = targetKey(row.labels);
    const known = byTarget.get(key);
    if (known === undefined) byTarget.set(key, [row]);
    else known.push(row);
  }
  return byMetric;
}

function targetKey(labels: Labels): string {
  return labels.only(IDENTIFYING_LABELS).key();
}

/** The rows that `row` becomes: one for each set of data labels it has over time. */
function describe(
  row: Row,
  how: {
    byMetric: InfoIndex;
    dataMatchers: readonly Matcher[];
    hasSelector: boolean;
    frame: Frame;
    budget: Budget;
  },
): Iterable<Row> {
  const { byMetric, dataMatchers, hasSelector, frame, budget } = how;
  const wanted = new Set(dataMatchers.map((matcher) => matcher.name));
  const mayStayBare = dataMatchers.every((matcher) => matcher.matches(""));
  const key = targetKey(row.labels);
  const outputs = new Map<string, Row>();
  const outputOf = (infos: readonly Row[]): Row | undefined => {
    if (infos.length === 0 && !mayStayBare) return undefined;
    const added = new Map<string, string>();
    for (const info of infos)
      for (const [name, value] of info.labels) {
        if (name === METRIC_NAME || (hasSelector && !wanted.has(name))) continue;
        const other = added.get(name);
        if (other !== undefined && other !== value)
          throw new AppError("execution", `conflicting label: ${name}`);
        if (!row.labels.has(name)) added.set(name, value);
      }
    const labels = Labels.fromPairs([...row.labels, ...added]);
    const outputKey = labels.key();
    let output = outputs.get(outputKey);
    if (output === undefined) {
      for (const [name, value] of added) budget.copyLabel(name, value);
      output = emptyRow(labels, frame.count);
      output.dropName = row.dropName;
      outputs.set(outputKey, output);
    }
    return output;
  };
  let infos: readonly Row[] | undefined;
  let output: Row | undefined;
  for (let k = 0; k < frame.count; k++) {
    if (row.present[k] === ABSENT) continue;
    const newest = infosAt(byMetric, key, k);
    // Mostly the same ones describe a series all the time.
    if (infos === undefined || !areSame(infos, newest)) output = outputOf(newest);
    infos = newest;
    if (output !== undefined) copyPoint(output, row, k);
  }
  return outputs.values();
}

/** The info series of a target at one step, one of each metric. */
function infosAt(byMetric: InfoIndex, key: string, step: number): readonly Row[] {
  const infos: Row[] = [];
  for (const byTarget of byMetric.values()) {
    const info = newestInfo(byTarget.get(key) ?? [], step);
    if (info !== undefined) infos.push(info);
  }
  return infos;
}

function areSame(a: readonly Row[], b: readonly Row[]): boolean {
  return a.length === b.length && a.every((row, i) => row === b[i]);
}

/** Of several info series of one target, the one scraped last. */
function newestInfo(rows: readonly Row[], step: number): Row | undefined {
  let newest: Row | undefined;
  for (const row of rows) {
    if (row.present[step] === ABSENT) continue;
    if (newest === undefined || row.values[step]! > newest.values[step]!) {
      newest = row;
    } else if (row.values[step] === newest.values[step]) {
      const timeMs = Math.round(row.values[step]! * 1000);
      throw new AppError(
        "execution",
        `found duplicate series for info metric: existing ${labelsShown(newest.labels)} @ ${timeMs}, new ${labelsShown(row.labels)} @ ${timeMs}`,
      );
    }
  }
  return newest;
}
