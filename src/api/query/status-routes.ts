import { hostname } from "node:os";
import type { FastifyInstance } from "fastify";
import { COMPATIBLE_PROMETHEUS_VERSION, VERSION } from "../../base/version.ts";
import type { CoordinatorClient } from "./coordinator-client.ts";
import type { QueryApiDependencies } from "./dependencies.ts";
import { sendData } from "./send.ts";

/** `/api/v1/status/{buildinfo,runtimeinfo,flags}` and the rule lists, which are empty until there is a ruler. */
export function registerStatusRoutes(
  app: FastifyInstance,
  { clock, flags, startTimeMs, coordinator }: QueryApiDependencies,
): void {
  // Grafana reads the version to switch features on, and takes a `features` field for Mimir's: leave it out.
  app.get("/api/v1/status/buildinfo", async (request, reply) =>
    sendData(request, reply, {
      version: COMPATIBLE_PROMETHEUS_VERSION,
      revision: "",
      branch: "",
      buildUser: "",
      buildDate: "",
      goVersion: "",
      application: "Shoal",
      shoalVersion: VERSION,
      nodeVersion: process.versions.node,
    }),
  );

  app.get("/api/v1/status/runtimeinfo", async (request, reply) =>
    sendData(request, reply, {
      startTime: new Date(startTimeMs).toISOString(),
      CWD: process.cwd(),
      hostname: hostname(),
      serverTime: new Date(clock.now()).toISOString(),
      reloadConfigSuccess: await lastReloadSucceeded(coordinator),
      lastConfigTime: new Date(startTimeMs).toISOString(),
      corruptionCount: 0,
      goroutineCount: process.getActiveResourcesInfo().length,
      GOMAXPROCS: navigator.hardwareConcurrency,
      GOMEMLIMIT: 0,
      GOGC: "",
      GODEBUG: "",
      storageRetention: flags["storage.tsdb.retention.time"] ?? "",
    }),
  );

  app.get("/api/v1/status/flags", async (request, reply) => sendData(request, reply, flags));
  app.get("/api/v1/rules", async (request, reply) => sendData(request, reply, { groups: [] }));
  app.get("/api/v1/alerts", async (request, reply) => sendData(request, reply, { alerts: [] }));
  app.get("/api/v1/alertmanagers", async (request, reply) =>
    sendData(request, reply, { activeAlertmanagers: [], droppedAlertmanagers: [] }),
  );
}

/** As the coordinator's own metric has it; without a coordinator there is no configuration to reload. */
async function lastReloadSucceeded(coordinator: CoordinatorClient | undefined): Promise<boolean> {
  if (coordinator === undefined) return true;
  const { body } = await coordinator.get("/metrics");
  return /^prometheus_config_last_reload_successful 1$/m.test(body);
}
