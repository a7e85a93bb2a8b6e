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

/** `assign http://a/metrics (job m) to shard-0: reason`. */
export function printDecision(decision: Decision): string {
  const { kind, url, job, from, to, reason } = decision;
  let text: string = kind;
  if (url !== undefined) text += ` ${url} (job ${job})`;
  else if (job !== undefined) text += ` job ${job}`;
  if (from !== undefined) text += ` from ${from}`;
  if (to !== undefined) text += ` to ${to}`;
  return `${text}: ${reason}`;
}
