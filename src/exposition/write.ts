import { formatSampleValue } from "../base/float.ts";
import {
  isLegacyLabelName,
  isLegacyMetricName,
  METRIC_NAME,
  type Labels,
} from "../model/labels.ts";

/** The Content-Type of what `TextWriter` writes. */
export const TEXT_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

export interface WrittenSample {
  /** With the metric's name. */
  readonly labels: Labels;
  readonly value: number;
  /** In ms; left out of the text when undefined. */
  readonly timestampMs?: number;
  /** Written after the labels, empty values too: federation sends `instance=""`. */
  readonly extraLabels?: Iterable<readonly [string, string]>;
}

/**
 * Writes samples as text exposition 0.0.4 in one buffer of text. Samples of a family must follow each other; each
 * family gets one `# TYPE` line. Names outside the legacy characters are escaped with underscores.
 */
export class TextWriter {
  #text = "";
  #family: string | undefined;

  /** Writes `sample`, which belongs to a family of the given type. */
  write(sample: WrittenSample, type = "untyped"): void {
    const name = escapeName(sample.labels.get(METRIC_NAME), isLegacyMetricName);
    if (name !== this.#family) {
      this.#family = name;
      this.#text += `# TYPE ${name} ${type}\n`;
    }
    let pairs = "";
    for (const [label, value] of [...sample.labels, ...(sample.extraLabels ?? [])])
      if (label !== METRIC_NAME)
        pairs += `${pairs === "" ? "" : ","}${escapeName(label, isLegacyLabelName)}="${escapeValue(value)}"`;
    this.#text += `${name}${pairs === "" ? "" : `{${pairs}}`} ${formatSampleValue(sample.value)}${
      sample.timestampMs === undefined ? "" : ` ${sample.timestampMs}`
    }\n`;
  }

  /** What was written since the last `take`, so that a long answer can go out in pieces. */
  take(): string {
    const text = this.#text;
    this.#text = "";
    return text;
  }

  /** How much text is waiting, in UTF-16 units. */
  get pendingSize(): number {
    return this.#text.length;
  }
}

/** Label value text between double quotes. */
export function escapeValue(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}

/** The `underscores` scheme: every character that a legacy name cannot have there becomes `_`. */
function escapeName(name: string, isLegacy: (name: string) => boolean): string {
  if (name === "" || isLegacy(name)) return name;
  let escaped = "";
  for (const character of name) escaped += isLegacy(escaped + character) ? character : "_";
  return escaped;
}
