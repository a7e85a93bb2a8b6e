import { parsedFlag } from "./flags.ts";

/** What `--enable-feature` turns on, under Prometheus's names. */
const FEATURES = ["created-timestamp-zero-ingestion", "metadata-wal-records"] as const;
type Feature = (typeof FEATURES)[number];

export const FEATURE_FLAGS = {
  features: parsedFlag<readonly Feature[]>(
    {
      name: "enable-feature",
      value: "names",
      help: `What is off by default in Prometheus, separated by commas: ${FEATURES.join(", ")}. Not for the engine prometheus, which has --prometheus.args.`,
    },
    { fallback: "", parse: parseFeatures, print: (features) => features.join(",") },
  ),
} as const;

function parseFeatures(text: string): readonly Feature[] {
  const names = text.split(",").map((name) => name.trim());
  return names
    .filter((name) => name !== "")
    .map((name) => {
      const feature = FEATURES.find((known) => known === name);
      if (feature === undefined) throw new Error(`${name} is not one of ${FEATURES.join(", ")}`);
      return feature;
    });
}
