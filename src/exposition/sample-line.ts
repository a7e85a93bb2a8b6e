import { formatSampleValue } from "../base/float.ts";
import { quote } from "../base/text.ts";
import { isLegacyLabelName, isLegacyMetricName } from "../model/labels.ts";

/** A sample as a line of the text formats; `time` as the format writes it, "" for none. */
export function sampleLine(
  series: {
    readonly name: string;
    readonly labels: readonly (readonly [string, string])[];
    readonly time: string;
  },
  value: number,
): string {
  const { name, labels, time } = series;
  const isLegacy = isLegacyMetricName(name);
  const pairs = labels.map(
    ([label, text]) => `${isLegacyLabelName(label) ? label : quote(label)}=${escaped(text)}`,
  );
  if (!isLegacy) pairs.unshift(escaped(name));
  const inBraces = pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
  const after = time === "" ? "" : ` ${time}`;
  return `${isLegacy ? name : ""}${inBraces} ${formatSampleValue(value)}${after}\n`;
}

/** As the text format quotes label values. */
function escaped(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}
