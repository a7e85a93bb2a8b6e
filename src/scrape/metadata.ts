import {
  METADATA_HELP,
  METADATA_TYPE,
  METRIC_KINDS,
  ParsedColumns,
} from "../exposition/columns.ts";
import type { TextFormat } from "../exposition/entry-parser.ts";
import { ExpositionParser } from "../exposition/parse.ts";
import type { FamiliesBeside } from "../exposition/protobuf.ts";
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
      const { table, format, families } = this.#cache;
      const { body, length } = table;
      this.#entries = readMetadata({ body, length, format }, families).families;
      this.#version = this.#cache.version;
    }
    return this.#entries;
  }
}

/** What a body says of its metric families. */
export interface BodyMetadata {
  readonly families: ReadonlyMap<string, MetricMetadata>;
  /** In order: behind byte `at` of the body it speaks of `family`. */
  readonly marks: readonly { readonly at: number; readonly family: string }[];
}

/** `beside` is what the text could not say of families. */
export function readMetadata(
  source: { readonly body: Uint8Array; readonly length: number; readonly format: TextFormat },
  beside: FamiliesBeside,
): BodyMetadata {
  const families = new Map<string, MetricMetadata>();
  const marks: { at: number; family: string }[] = [];
  const { body, length, format } = source;
  if (length === 0) return { families, marks };
  const columns = new ParsedColumns();
  const parser = new ExpositionParser(format);
  parser.reset(body, length);
  parser.parse(columns);
  for (let i = 0; i < columns.metadataCount; i++) {
    const at = columns.metadataNameStart[i]!;
    const family = unescape(parser.text.toString("utf8", at, columns.metadataNameEnd[i]));
    if (marks.at(-1)?.family !== family) marks.push({ at, family });
    const text = parser.text.toString(
      "utf8",
      columns.metadataTextStart[i],
      columns.metadataTextEnd[i],
    );
    const known = families.get(family) ?? { type: "unknown", help: "", unit: "" };
    const what = columns.metadataWhat[i];
    if (what === METADATA_TYPE)
      families.set(family, { ...known, type: METRIC_KINDS[columns.metadataKind[i]!]! });
    else if (what === METADATA_HELP) families.set(family, { ...known, help: unescape(text) });
    else families.set(family, { ...known, unit: text });
  }
  for (const [family, more] of beside) {
    const known = families.get(family);
    if (known !== undefined) families.set(family, { ...known, ...more });
  }
  return { families, marks };
}

function unescape(text: string): string {
  return text.includes("\\")
    ? text.replace(/\\(["\\n])/g, (_: string, escaped: string) =>
        escaped === "n" ? "\n" : escaped,
      )
    : text;
}
