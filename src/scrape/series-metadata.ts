import { METRIC_NAME } from "../model/labels.ts";
import type { MetricKind, MetricMetadata } from "../model/metadata.ts";
import type { AppendMetadata } from "../storage/appender.ts";
import { readMetadata } from "./metadata.ts";
import type { Scan } from "./scan.ts";

/**
 * What the series of one target say of themselves, for the log: all of it for a series that is new, and again when its
 * family says something else. A body that differs in values only is not looked at.
 */
export class SeriesMetadata {
  #families: ReadonlyMap<string, MetricMetadata> = new Map();
  #isForgotten = false;

  /** Makes the next scan give everything again: what was given may not have been stored. */
  forget(): void {
    this.#isForgotten = true;
  }

  /** What is new, once the scan's series are resolved. */
  take(scan: Scan): AppendMetadata[] {
    if (!scan.changed && !this.#isForgotten) return [];
    const { families, marks } = readMetadata(scan.source, scan.families);
    const known = this.#isForgotten ? new Map<string, MetricMetadata>() : this.#families;
    const isNews = new Map<string, boolean>();
    for (const [family, metadata] of families)
      isNews.set(family, !isSame(known.get(family), metadata));
    const found: AppendMetadata[] = [];
    let mark = -1;
    scan.forEachSeries(({ start, ref, isFresh, labels }) => {
      while (mark + 1 < marks.length && marks[mark + 1]!.at < start) mark++;
      const family = marks[mark]?.family;
      if (family === undefined || !(isFresh || isNews.get(family) === true)) return;
      const metadata = families.get(family)!;
      if (isOfFamily(labels()?.get(METRIC_NAME) ?? "", family, metadata.type))
        found.push({ ref, metadata });
    });
    this.#families = families;
    this.#isForgotten = false;
    return found;
  }
}

function isSame(a: MetricMetadata | undefined, b: MetricMetadata): boolean {
  return a?.type === b.type && a.help === b.help && a.unit === b.unit;
}

/** What the names of a family's series end in, beside the bare name. */
const SUFFIXES: Readonly<Record<MetricKind, readonly string[]>> = {
  counter: ["_total"],
  gauge: [],
  histogram: ["_bucket", "_sum", "_count"],
  gaugehistogram: ["_bucket", "_gsum", "_gcount"],
  summary: ["_sum", "_count"],
  info: ["_info"],
  stateset: [],
  unknown: [],
};

/** What follows a TYPE line need not be of its family. The text format has `_total` and `_info` in the family's name too. */
function isOfFamily(name: string, family: string, type: MetricKind): boolean {
  if (!name.startsWith(family)) return false;
  const suffixes = SUFFIXES[type];
  const base = type === "counter" || type === "info" ? cut(family, suffixes) : family;
  return cut(name, suffixes) === base;
}

function cut(name: string, suffixes: readonly string[]): string {
  const found = suffixes.find((suffix) => name.endsWith(suffix));
  return found === undefined ? name : name.slice(0, -found.length);
}
