import { costOf, formerSeries, type Limits, type Load } from "./load.ts";
import type { Decision, Plan } from "./plan-types.ts";

/**
 * A plan as people and tests read it:
 *
 *     scale 3
 *     decisions
 *       assign http://a/metrics (job m) to shard-0: 10050 series, the shard with the most room
 *     conditions
 *       unassigned http://b/metrics (job m): waits for a shard that is starting
 *     shard-0: 2 targets, 20090 series
 *       1241054366830102733
 *       6011390623312818123 in_transfer
 */
export function printPlan(plan: Plan): string {
  const lines = [`scale ${plan.scale}`];
  for (const [title, entries] of [
    ["decisions", plan.decisions],
    ["conditions", plan.conditions],
  ] as const) {
    if (entries.length === 0) continue;
    lines.push(title, ...entries.map((entry) => `  ${printDecision(entry)}`));
  }
  for (const { id, assignments } of plan.shards) {
    const series = assignments.reduce((sum, { load }) => sum + load.series, 0);
    const noun = assignments.length === 1 ? "target" : "targets";
    lines.push(`${id}: ${assignments.length} ${noun}, ${series} series`);
    for (const { hash, state } of assignments)
      lines.push(state === "normal" ? `  ${hash}` : `  ${hash} ${state}`);
  }
  return `${lines.join("\n")}\n`;
}

/** A plan as JSON shows it: a list may hold what a shard reported, of which only this much is planned. */
export function shownPlan(plan: Plan): Plan {
  const shards = plan.shards.map(({ id, assignments }) => ({
    id,
    assignments: assignments.map(({ hash, state, assignedAtMs, load }) => {
      return { hash, state, assignedAtMs, load };
    }),
  }));
  return { ...plan, shards };
}

/** `assign http://a/metrics (job m) to shard-0: reason`. */
export function printDecision(decision: Decision): string {
  const { kind, url, job, from, to, reason } = decision;
  // About a shard that stays where it is.
  if (kind === "drain" || kind === "wait" || kind === "stop" || kind === "storage")
    return `${kind}${from === undefined ? "" : ` ${from}`}: ${reason}`;
  let text: string = kind;
  if (url !== undefined) text += ` ${url} (job ${job})`;
  else if (job !== undefined) text += ` job ${job}`;
  if (from !== undefined) text += ` from ${from}`;
  if (to !== undefined) text += ` to ${to}`;
  return `${text}: ${reason}`;
}

/** `1105 series (600 of them former ones), 7 samples a second`: what the limits that are on look at. */
export function sizeText(load: Load, { maxSamplesPerSecond }: Limits): string {
  const cost = costOf(load);
  const former = formerSeries(load);
  const notes: string[] = [];
  if (former > 0) notes.push(`${former} of them former ones`);
  if (cost.rawSeries > cost.series) notes.push(`${cost.rawSeries} before relabelling`);
  const samples =
    maxSamplesPerSecond === 0 ? "" : `, ${Math.round(cost.samplesPerSecond)} samples a second`;
  return `${cost.series} series${notes.length > 0 ? ` (${notes.join(", ")})` : ""}${samples}`;
}

export function limitText(limits: Limits): string {
  const { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond } = limits;
  const head = maxHeadSeries === 0 ? "" : `${maxHeadSeries} head series and `;
  const samples = maxSamplesPerSecond === 0 ? "" : ` and ${maxSamplesPerSecond} samples a second`;
  return `${head}${maxProcessSeries} processed series${samples}`;
}

/** `1 target`, `2 targets`. */
export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
