/** Features of the engine that a shard has to know of, by Prometheus's names. */
export const FEATURES = {
  delayedNameRemoval: "promql-delayed-name-removal",
  startTimes: "use-start-timestamps",
  experimentalFunctions: "promql-experimental-functions",
  extendedRangeSelectors: "promql-extended-range-selectors",
} as const;
