import type {
  CandidateAnswer,
  DecisionAnswer,
  WhyAnswer,
  WhyData,
  WhyMatch,
} from "../api/coordinator/why-answer.ts";
import { formatDuration } from "../base/units.ts";
import { quote } from "../base/text.ts";
import type { EncodedLoad } from "../shard/wire.ts";

/** What `shoal explain` prints: for people, in paragraphs and columns. */
export function explainText(data: WhyData, nowMs: number): string {
  if (data.why === undefined) return matchesText(data);
  const { why } = data;
  const parts = [headText(why), factsText(why, nowMs)];
  if (why.conditions.length > 0)
    parts.push(
      section(
        "What stands",
        why.conditions.map(({ kind, reason }) => [kind, reason]),
      ),
    );
  if (why.decisions.length > 0)
    parts.push(section("What was decided, newest first", why.decisions.map(decisionRow)));
  if (why.candidates.length > 0)
    parts.push(
      section("What else was possible", [CANDIDATE_HEAD, ...why.candidates.map(candidateRow)]),
    );
  return `${parts.join("\n\n")}\n`;
}

/** Rows in columns, two spaces apart. */
export function columns(rows: readonly (readonly string[])[], indent = ""): string {
  const widths: number[] = [];
  for (const row of rows)
    for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  return rows
    .map((row) => `${indent}${row.map((cell, i) => cell.padEnd(widths[i]!)).join("  ")}`.trimEnd())
    .join("\n");
}

/** `20100 of 30000`; the number alone without a limit. */
export function ofLimit(value: number, limit: number): string {
  return limit > 0 ? `${Math.round(value)} of ${limit}` : String(Math.round(value));
}

function matchesText({ total, matches }: WhyData): string {
  const more = total > matches.length ? `\n  and ${total - matches.length} more` : "";
  return `${total} targets are meant. Name one by its hash or URL:\n${columns(matches.map(matchRow), "  ")}${more}\n`;
}

function matchRow({ hash, job, url, discoveredLabels }: WhyMatch): string[] {
  if (discoveredLabels === undefined) return [hash ?? "", `job ${job ?? ""}`, url ?? ""];
  return ["dropped", `job ${job ?? ""}`, labelsText(discoveredLabels)];
}

function headText({ url, job, discoveredLabels, summary }: WhyAnswer): string {
  const name = url ?? discoveredLabels?.["__address__"] ?? "a target";
  return `${name} (job ${job ?? "unknown"})\n${summary}`;
}

function factsText(why: WhyAnswer, nowMs: number): string {
  const rows: string[][] = [];
  const add = (name: string, value: string): void => void rows.push([name, value]);
  if (why.hash !== undefined) add("hash", why.hash);
  if (why.labels !== undefined) add("labels", labelsText(why.labels));
  // Of an active target the labels before relabelling are of little help, and many.
  else if (why.discoveredLabels !== undefined) add("discovered", labelsText(why.discoveredLabels));
  for (const { replica, shard, since } of why.replicas)
    if (shard !== "")
      add(replica === "" ? "shard" : `replica ${replica}`, `${shard}, ${sinceText(since, nowMs)}`);
  if (why.health !== undefined)
    add("health", why.lastError === "" ? why.health : `${why.health}: ${why.lastError ?? ""}`);
  if (why.load !== undefined) add("load", loadText(why.load));
  if (why.cost !== undefined)
    add(
      "takes up",
      `${why.cost.series} series${why.costIsEstimated === true ? ", the median of its job: it is not measured" : ""}`,
    );
  return columns(rows, "  ");
}

function section(title: string, rows: readonly (readonly string[])[]): string {
  return `${title}\n${columns(rows, "  ")}`;
}

function decisionRow({ time, kind, from, to, reason }: DecisionAnswer): string[] {
  const way = [from, to].filter((shard) => shard !== undefined).join(" → ");
  return [timeWithoutFraction(time), kind, way, reason];
}

const CANDIDATE_HEAD = [
  "shard",
  "state",
  "targets",
  "head series",
  "before relabelling",
  "full → with it",
  "",
];

function candidateRow(candidate: CandidateAnswer): string[] {
  const { shard, state, targets, used, limits, utilisation, utilisationWith, owner } = candidate;
  const full = `${percent(utilisation)} → ${percent(utilisationWith)}`;
  return [
    owner ? `${shard} *` : shard,
    state,
    String(targets),
    ofLimit(used.series, limits.maxHeadSeries),
    ofLimit(used.totalSeries, limits.maxProcessSeries),
    full,
    candidate.verdict,
  ];
}

function percent(share: number): string {
  return `${Math.round(share * 100)} %`;
}

function loadText(load: EncodedLoad): string {
  const { series, totalSeries, samplesPerSecond, bodyBytesPerSecond, newSeriesPerHour } = load;
  const figures = [
    `${series} series (${totalSeries} before relabelling)`,
    `${rounded(samplesPerSecond)} samples/s`,
    `${rounded(bodyBytesPerSecond)} bytes/s`,
    `${rounded(newSeriesPerHour)} new series/h`,
  ];
  return figures.join(", ");
}

function rounded(value: number): string {
  return value >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
}

function labelsText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${quote(value)}`);
  return `{${pairs.join(", ")}}`;
}

function timeWithoutFraction(time: string): string {
  return time.replace(/\.\d+Z$/, "Z");
}

function sinceText(time: string, nowMs: number): string {
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(time)) / 1000));
  return `since ${timeWithoutFraction(time)} (${formatDuration(seconds * 1000)})`;
}
