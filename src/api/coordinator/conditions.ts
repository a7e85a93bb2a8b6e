import type { CoordinatorApiOptions } from "./dependencies.ts";
import { numberParameter } from "./parameters.ts";

const CONDITIONS_DEFAULT = 100;
const CONDITIONS_MAX = 10_000;

/** `GET /api/v1/conditions`: what stands though somebody may want it otherwise, from the last plan of every group, and what no plan can change. */
export function conditionsAnswer(
  { coordinator, conditions: others }: CoordinatorApiOptions,
  parameters: URLSearchParams,
): unknown {
  const wanted = new Set(parameters.getAll("kind").filter((kind) => kind !== ""));
  const limit = Math.min(
    numberParameter(parameters, "limit") ?? CONDITIONS_DEFAULT,
    CONDITIONS_MAX,
  );
  const counts: Record<string, number> = {};
  const conditions: unknown[] = [];
  const { groups, standing } = coordinator.view();
  const sources = [
    { replica: "", all: [...standing, ...(others?.() ?? [])] },
    ...groups.map(({ name, plan }) => ({ replica: name, all: plan?.conditions ?? [] })),
  ];
  for (const { replica, all } of sources)
    for (const condition of all) {
      const { kind } = condition;
      if (wanted.size > 0 && !wanted.has(kind)) continue;
      counts[kind] = (counts[kind] ?? 0) + 1;
      // The limit is for each kind: many of one must not hide the others.
      if (counts[kind] <= limit) conditions.push({ replica, ...condition });
    }
  return { counts, conditions };
}
