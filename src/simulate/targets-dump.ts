import { pick, type Random } from "../base/random.ts";
import { parseDuration } from "../base/units.ts";
import { Labels } from "../model/labels.ts";
import { hashTarget } from "../model/target-hash.ts";
import type { Target } from "../model/target.ts";
import type { AssignedTarget } from "../shard/wire.ts";
import { Field, parseJsonFile } from "./dump-fields.ts";
import { HOUR_MS, loadAt, type SimTarget, type TargetLife } from "./sim-target.ts";

/**
 * A fleet out of `/api/v1/targets` of a Shoal or a Kvass coordinator: Prometheus's active targets, each with `series`
 * and `totalSeries`, and with the shards that scrape it (Shoal: `shard`, both: `shards`).
 */
export interface TargetsDump {
  readonly targets: readonly SimTarget[];
  /** What each shard has, by ordinal; [] when the dump does not say. */
  readonly placement: readonly (readonly AssignedTarget[])[];
  /** Names of the shards in `placement`, as the dump has them. */
  readonly shards: readonly string[];
}

export interface DumpOptions {
  /** Where the text is from, for messages. */
  readonly source: string;
  /** For targets whose interval the dump does not tell: Kvass never does. */
  readonly intervalMs: number;
  readonly life: TargetLife;
  readonly startMs: number;
  readonly random: Random;
}

const EXPLORE_MS = 200;

/** Reads a dump: the whole answer, or its `data` alone. Throws `bad-data` with what is wrong and where. */
export function readTargetsDump(text: string, options: DumpOptions): TargetsDump {
  const root = new Field(parseJsonFile(text, options.source), "", options.source);
  const data = root.field("data");
  const active = (data.isMissing ? root : data).field("activeTargets");
  const found = new Map<string, { target: SimTarget; shard: string | undefined }>();
  for (const item of active.items()) {
    const target = readTarget(item, options);
    // A target that two replicas scrape stands in the dump once; the same twice is one target all the same.
    found.set(target.target.hash, { target, shard: shardOf(item) });
  }
  if (found.size === 0) throw active.wrong("a list with targets; this one has none");
  return {
    targets: [...found.values()].map(({ target }) => target),
    ...placementOf(found, options),
  };
}

function readTarget(item: Field, options: DumpOptions): SimTarget {
  const { life, startMs, random } = options;
  const job = item.field("scrapePool").text();
  const url = item.field("scrapeUrl").text();
  const pairs = item.field("labels").entries();
  const labels = Labels.fromPairs(pairs.map(([name, value]) => [name, value.text()]));
  const hash = item.field("hash").text(hashTarget(labels, url));
  if (!/^\d{1,20}$/.test(hash)) throw item.field("hash").wrong("a 64-bit number as decimal text");
  const intervalMs = intervalOf(item.field("scrapeInterval"), options);
  const series = seriesOf(item, "series");
  const rawSeries = Math.max(series, seriesOf(item, "totalSeries"));
  const target: Target = {
    hash,
    job,
    allLabels: labels,
    labels,
    discoveredLabels: Labels.EMPTY,
    url,
    intervalMs,
    timeoutMs: Math.min(10_000, intervalMs),
  };
  return {
    target,
    bornMs: startMs,
    goneMs: Infinity,
    // Whoever has never been measured does not answer.
    isDown: rawSeries === 0,
    size: { series, rawSeries },
    growthPerHour: (2 * random.next() * life.growthPerDay) / 24,
    churnPerHour: life.churnPerHour,
    exploreMs: EXPLORE_MS,
  };
}

function seriesOf(item: Field, name: string): number {
  const field = item.field(name);
  if (field.isMissing)
    throw field.wrong(
      "there: take the targets from a Shoal or Kvass coordinator, a Prometheus does not know their series",
    );
  return Math.round(field.count());
}

function intervalOf(field: Field, { intervalMs }: DumpOptions): number {
  const text = field.text("");
  if (text === "") return intervalMs;
  let parsed: number;
  try {
    parsed = parseDuration(text);
  } catch {
    throw field.wrong('a duration like "30s"');
  }
  return parsed === 0 ? intervalMs : parsed;
}

/** The stable owner where the dump tells it, else the first of those that scrape it. */
function shardOf(item: Field): string | undefined {
  const owner = item.field("shard").text("");
  if (owner !== "") return owner;
  const shards = item.field("shards");
  return shards.isMissing ? undefined : shards.items().map((shard) => shard.text())[0];
}

function placementOf(
  found: ReadonlyMap<string, { target: SimTarget; shard: string | undefined }>,
  { startMs }: DumpOptions,
): Pick<TargetsDump, "placement" | "shards"> {
  const names = new Set<string>();
  for (const { shard } of found.values()) if (shard !== undefined) names.add(shard);
  const byNumber = new Intl.Collator("en", { numeric: true });
  const shards = [...names].sort((a, b) => byNumber.compare(a, b));
  const placement = shards.map((): AssignedTarget[] => []);
  for (const { target, shard } of found.values())
    if (shard !== undefined)
      placement[shards.indexOf(shard)]!.push({
        target: target.target,
        state: "normal",
        assignedAtMs: startMs - HOUR_MS,
        load: loadAt(target, startMs),
      });
  return { placement, shards };
}

/** Further targets like those of a dump, under other names. */
export class DumpClones {
  readonly #models: readonly SimTarget[];
  readonly #random: Random;
  #made = 0;

  constructor(models: readonly SimTarget[], random: Random) {
    this.#models = models;
    this.#random = random;
  }

  make(bornMs: number): SimTarget {
    const model = pick(this.#random, this.#models);
    const labels = model.target.labels.with("instance", `simulated-${this.#made++}`);
    const hash = hashTarget(labels, model.target.url);
    return { ...model, bornMs, target: { ...model.target, hash, allLabels: labels, labels } };
  }
}
