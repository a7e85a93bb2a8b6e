import type { Registry } from "../../base/metrics.ts";
import type { Config } from "../../config/types.ts";
import type { Coordinator } from "../../shard/coordinator.ts";

/** What the coordinator's HTTP API stands on. */
export interface CoordinatorApiOptions {
  readonly coordinator: Coordinator;
  /** The running configuration. */
  readonly config: () => Config;
  /** What stands though somebody may want it otherwise, beside what the planner says. */
  readonly conditions?: () => readonly { readonly kind: string; readonly reason: string }[];
  /** Effective flags by name. */
  readonly flags: Readonly<Record<string, string>>;
  /** `host:port` or host that stands in `globalUrl` for loopback addresses. */
  readonly externalHost: string;
  readonly registry: Registry;
  /** `--web.enable-admin-api` */
  readonly adminApi: boolean;
}
