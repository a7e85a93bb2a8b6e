import { AppError } from "../../base/errors.ts";
import { utilisation } from "../../shard/load.ts";
import { movesUnderWay } from "../../shard/move.ts";
import { carriedBy } from "../../shard/shard-figures.ts";
import { durationParameter } from "../query/parameters.ts";
import { numberParameter } from "./parameters.ts";
import { renderMove } from "./why.ts";
import { timeText } from "../../shard/wire.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";

/** Points of a shard's history when the request does not say. */
const POINTS_DEFAULT = 120;
const POINTS_MAX = 1000;

/** Moves under way that are listed. */
const MOVES_MAX = 100;

/** `GET /api/v1/shards`, with `history=1h` also what each carried over that time, in at most `points` points. */
export function shardsAnswer(
  { coordinator, config }: CoordinatorApiOptions,
  parameters: URLSearchParams,
): unknown {
  const { plan } = coordinator.options;
  const { limits } = plan;
  const view = coordinator.view();
  const historyMs = durationParameter(parameters, "history");
  const pointsMax = numberParameter(parameters, "points") ?? POINTS_DEFAULT;
  if (pointsMax < 1 || pointsMax > POINTS_MAX)
    throw new AppError("bad-data", `cannot read parameter points: it must be 1 to ${POINTS_MAX}`);
  const groupOf = new Map(
    view.groups.flatMap(({ name, shards }) => shards.map((record) => [record, name] as const)),
  );
  const shards = view.shards.map((record) => {
    const { instance, state, error, lastSeenMs, runtime, statuses } = record;
    const isUp = state === "ready" || state === "refused";
    const used = carriedBy(record.observed());
    return {
      id: instance.id,
      ordinal: instance.ordinal,
      replica: groupOf.get(record) ?? "",
      state,
      http: instance.url?.replace(/^https?:\/\//, "") ?? "",
      grpc: instance.grpcAddress ?? runtime?.grpcAddress ?? "",
      draining: coordinator.draining.has(instance.id),
      targets: statuses.size,
      inTransfer: [...statuses.values()].filter((status) => status.state !== "normal").length,
      headSeries: runtime?.headSeries ?? 0,
      processSeries: runtime?.processSeries ?? 0,
      samplesPerSecond: used.samplesPerSecond,
      limits,
      utilisation: utilisation(used, limits),
      pid: isUp ? (runtime?.pid ?? 0) : 0,
      rssBytes: isUp ? (runtime?.rssBytes ?? 0) : 0,
      restarts: instance.restarts,
      node: instance.node ?? "",
      zone: instance.zone ?? "",
      lastSeen: timeText(lastSeenMs),
      error: error || (isUp ? (runtime?.storageError ?? "") : ""),
      stopReason: runtime?.stopReason ?? "",
      ...(historyMs !== undefined && {
        history: coordinator.history.read(instance.id, {
          fromMs: view.planTimeMs - historyMs,
          pointsMax,
        }),
      }),
    };
  });
  const moves = movesUnderWay(view, plan);
  return {
    shards,
    moves: moves.slice(0, MOVES_MAX).map(({ target, move }) => ({
      hash: target.hash,
      job: target.job,
      url: target.url,
      ...renderMove(move),
    })),
    movesTotal: moves.length,
    together: view.standing.flatMap(({ kind, from, reason }) =>
      kind === "together" ? [{ shards: from, reason }] : [],
    ),
    externalLabels: config().global.externalLabels,
    configHash: coordinator.config.hash,
  };
}
