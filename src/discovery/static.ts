import type { StaticGroup } from "../config/types.ts";
import type { Mechanism } from "./mechanism.ts";

/** Targets written in the configuration itself: reported once, and never again. */
export function createStatic(config: { readonly groups: readonly StaticGroup[] }): Mechanism {
  return {
    run(report) {
      report({
        groups: config.groups.map((group, index) => ({
          source: String(index),
          labels: group.labels,
          targets: group.targets.map((target) => ({ __address__: target })),
        })),
        errors: [],
      });
      return Promise.resolve();
    },
  };
}
