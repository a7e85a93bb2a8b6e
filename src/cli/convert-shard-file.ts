import { loadConfig } from "../config/load.ts";
import { encodeAssignment, printJson } from "../shard/wire.ts";
import { importKvassState } from "../sidecar/kvass-state.ts";
import type { Conversion } from "./convert-kvass.ts";

/**
 * A `kvass-shard.json` as the target list that `shoal sidecar` makes of it: for looking at it beforehand, because a sidecar
 * takes the file over by itself. Throws `bad-data`.
 */
export async function convertShardFile(
  text: string,
  options: { readonly configFile: string; readonly nowMs: number },
): Promise<Conversion> {
  const config = await loadConfig(options.configFile);
  const targets = importKvassState(text, { config, nowMs: options.nowMs });
  const taken = new Map<string, number>();
  for (const { target } of targets) taken.set(target.job, (taken.get(target.job) ?? 0) + 1);
  const notes = [
    `${targets.length} targets are taken over; shoal sidecar does so by itself when the file is in --store.path`,
  ];
  const known = new Set(config.scrapeConfigs.map(({ jobName }) => jobName));
  for (const [job, count] of countsOf(text)) {
    const left = count - (taken.get(job) ?? 0);
    if (left === 0) continue;
    const why = known.has(job)
      ? "their labels make no target"
      : "the configuration has no such job";
    notes.push(`${left} targets of job ${job} are left out: ${why}`);
  }
  return { text: `${printJson(encodeAssignment(targets))}\n`, notes, errors: [] };
}

/** How many targets the file has, by job. */
function countsOf(text: string): [job: string, count: number][] {
  const document = JSON.parse(text) as { readonly Targets?: Record<string, unknown> | null };
  const jobs = document.Targets === undefined ? document : (document.Targets ?? {});
  return Object.entries(jobs).map(([job, list]) => [job, Array.isArray(list) ? list.length : 0]);
}
