import type { CoordinatorApiOptions } from "./dependencies.ts";
import { numberParameter } from "./parameters.ts";

const CONDITIONS_DEFAULT = 100;
const CONDITIONS_MAX = 10_000;

/** `GET /api/v1/conditions`: what stands though somebody may want it otherwise, from the last plan of every group. */
export function conditionsAnswer(
  { coordinator }: CoordinatorApiOptions,
  parameters: URLSearchParams,
): unknown {
  const wanted = new Set(parameters.getAll("kind").filter((kind) => kind !== ""));
  const limit = Math.min(
    numberParameter(parameters, "limit") ?? CONDITIONS_DEFAULT,
    CONDITIONS_MAX,
  );
  const counts: Record<string, number> = {};
  const conditions: unknown[] = [];
  for (const { name, plan } of coordinator.view().groups)
    for (const condition of plan?.conditions ?? []) {
      const { kind } = condition;
      if (wanted.size > 0 && !wanted.has(kind)) continue;
      counts[kind] = (counts[kind] ?? 0) + 1;
      // The limit is for each kind: many of one must not hide the others.
      if (counts[kind] <= limit) conditions.push({ replica: name, ...condition });
    }
  return { counts, conditions };
}
