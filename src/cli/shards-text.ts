import { isRecord } from "../api/query/coordinator-client.ts";
import { columns, ofLimit } from "./explain-text.ts";

const SHARDS_HEAD = ["shard", "state", "targets", "head series", "before relabelling", "full", ""];

/** What `shoal shards` prints: a row for each, then which replicas one failure takes together. */
export function shardsText(data: Readonly<Record<string, unknown>>): string {
  const shards = Array.isArray(data["shards"]) ? data["shards"].filter(isRecord) : [];
  if (shards.length === 0) return "no shards\n";
  const text = (value: unknown): string => (typeof value === "string" ? value : "");
  const number = (value: unknown): number => (typeof value === "number" ? value : 0);
  const rows = shards.map((shard) => {
    const limits = isRecord(shard["limits"]) ? shard["limits"] : {};
    return [
      String(shard["id"]),
      String(shard["state"]),
      String(shard["targets"]),
      ofLimit(number(shard["headSeries"]), number(limits["maxHeadSeries"])),
      ofLimit(number(shard["processSeries"]), number(limits["maxProcessSeries"])),
      `${Math.round(number(shard["utilisation"]) * 100)} %`,
      [text(shard["error"]), stopText(text(shard["stopReason"]))].filter(Boolean).join("; "),
    ];
  });
  const together = Array.isArray(data["together"]) ? data["together"].filter(isRecord) : [];
  const lines = together.map((each) => `${String(each["shards"])}: ${String(each["reason"])}\n`);
  const below = lines.length === 0 ? "" : `\n${lines.join("")}`;
  return `${columns([SHARDS_HEAD, ...rows])}\n${below}`;
}

function stopText(reason: string): string {
  return reason === "" ? "" : `scrapes nothing: ${reason}`;
}
