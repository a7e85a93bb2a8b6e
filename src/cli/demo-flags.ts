import { choiceFlag, numberFlag, switchFlag } from "./flags.ts";

export const DEMO_RUN_FLAGS = {
  engine: choiceFlag(
    {
      name: "engine",
      value: "engine",
      help: "What the shards are: embedded (Shoal's own engine) or prometheus (real Prometheus servers).",
    },
    { fallback: "embedded", choices: ["embedded", "prometheus"] },
  ),
  replicas: numberFlag(
    { name: "replicas", help: "Replica groups: so many shards scrape each target." },
    { fallback: 1, min: 1, max: 9 },
  ),
  check: switchFlag({
    name: "check",
    help: "Verify the result through the query API, print one line of JSON figures and end.",
  }),
} as const;
