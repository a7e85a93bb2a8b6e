import {
  METADATA_HELP,
  METADATA_TYPE,
  METRIC_KINDS,
  ParsedColumns,
} from "../exposition/columns.ts";
import { ExpositionParser } from "../exposition/parse.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import type { LineCache } from "./line-cache.ts";

/**
 * What a target says of its metrics, read from its last good body when somebody asks: scrapes pay nothing for it. The
 * answer is kept for as long as the target's bodies differ in values only.
 */
export class TargetMetadata {
  readonly #cache: LineCache;
  #version = -1;
  #entries: ReadonlyMap<string, MetricMetadata> = new Map();

  constructor(cache: LineCache) {
    this.#cache = cache;
  }

  /** By metric family name. */
  get(): ReadonlyMap<string, MetricMetadata> {
    if (this.#version !== this.#cache.version) {
      this.#entries = readMetadata(this.#cache);
      this.#version = this.#cache.version;
    }
    return this.#entries;
  }
}

function readMetadata(cache: LineCache): Map<string, MetricMetadata> {
  const entries = new Map<string, MetricMetadata>();
  const { body, length } = cache.table;
  if (length === 0) return entries;
  const columns = new ParsedColumns();
  const parser = new ExpositionParser(cache.format);
  parser.reset(body, length);
  parser.parse(columns);
  for (let i = 0; i < columns.metadataCount; i++) {
    const name = unescape(
      parser.text.toString("utf8", columns.metadataNameStart[i], columns.metadataNameEnd[i]),
    );
    const text = parser.text.toString(
      "utf8",
      columns.metadataTextStart[i],
      columns.metadataTextEnd[i],
    );
    const known = entries.get(name) ?? { type: "unknown", help: "", unit: "" };
    const what = columns.metadataWhat[i];
    if (what === METADATA_TYPE)
      entries.set(name, { ...known, type: METRIC_KINDS[columns.metadataKind[i]!]! });
    else if (what === METADATA_HELP) entries.set(name, { ...known, help: unescape(text) });
    else entries.set(name, { ...known, unit: text });
  }
  return entries;
}

function unescape(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\(["\\n])/g, (_: string, escaped: string) =>
        escaped === "n" ? "\n" : escaped,
      )
    : text;
}
