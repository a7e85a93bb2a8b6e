import { timeText } from "../../shard/wire.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";

export function shardsAnswer({ coordinator, config }: CoordinatorApiOptions): unknown {
  const { limits } = coordinator.options.plan;
  const shards = coordinator.view().shards.map((record) => {
    const { instance, state, error, lastSeenMs, runtime, statuses } = record;
    const isUp = state === "ready" || state === "refused";
    return {
      id: instance.id,
      state,
      http: instance.url?.replace(/^https?:\/\//, "") ?? "",
      grpc: instance.grpcAddress ?? runtime?.grpcAddress ?? "",
      targets: statuses.size,
      inTransfer: [...statuses.values()].filter((status) => status.state !== "normal").length,
      headSeries: runtime?.headSeries ?? 0,
      processSeries: runtime?.processSeries ?? 0,
      limits,
      pid: isUp ? (runtime?.pid ?? 0) : 0,
      rssBytes: isUp ? (runtime?.rssBytes ?? 0) : 0,
      restarts: instance.restarts,
      lastSeen: timeText(lastSeenMs),
      error,
    };
  });
  return { shards, externalLabels: config().global.externalLabels };
}
