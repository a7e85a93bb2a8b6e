import type { FastifyInstance } from "fastify";
import { AppError } from "../../base/errors.ts";
import type { Registry } from "../../base/metrics.ts";
import type { Config } from "../../config/types.ts";
import { printConfig } from "../../config/print.ts";
import { printPlan, shownPlan } from "../../shard/plan-text.ts";
import { viewTargets } from "../../shard/target-view.ts";
import { timeText } from "../../shard/wire.ts";
import { envelope, parametersOf } from "../server.ts";
import { conditionsAnswer } from "./conditions.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";
import { registerDrain } from "./drain.ts";
import { numberParameter } from "./parameters.ts";
import { samplesAnswer } from "./samples.ts";
import { shardsAnswer } from "./shards.ts";
import { registerStop } from "./stop.ts";
import { targetsAnswer } from "./targets.ts";
import { registerWhy } from "./why.ts";

const DECISIONS_DEFAULT = 200;
const DECISIONS_MAX = 10_000;

/** The coordinator's HTTP API: Prometheus's targets with their shards, what the planner decided, and why. */
export function registerCoordinatorApi(app: FastifyInstance, options: CoordinatorApiOptions): void {
  const { coordinator } = options;
  measureRequests(app, options.registry);
  app.get("/api/v1/targets", async (request) =>
    envelope(targetsAnswer(options, parametersOf(request))),
  );
  app.get("/api/v1/shards", async (request) =>
    envelope(shardsAnswer(options, parametersOf(request))),
  );
  app.get("/api/v1/plan", async (request, reply) => {
    const { plan, planTimeMs } = coordinator.view();
    if (plan === undefined)
      throw new AppError("unavailable", "cannot show the plan: not all shards have answered yet");
    if (parametersOf(request).get("format") === "text")
      return reply.type("text/plain; charset=utf-8").send(printPlan(plan));
    return envelope({ time: timeText(planTimeMs), ...shownPlan(plan), text: printPlan(plan) });
  });
  app.get("/api/v1/decisions", async (request) => {
    const parameters = parametersOf(request);
    const limit = Math.min(
      numberParameter(parameters, "limit") ?? DECISIONS_DEFAULT,
      DECISIONS_MAX,
    );
    const after = numberParameter(parameters, "after") ?? 0;
    const decisions = coordinator.log
      .after(after, limit)
      .map(({ timeMs, ...decision }) => ({ time: timeText(timeMs), ...decision }));
    return envelope({ decisions });
  });
  app.get("/api/v1/conditions", async (request) =>
    envelope(conditionsAnswer(options, parametersOf(request))),
  );
  registerWhy(app, options);
  registerDrain(app, options);
  registerStop(app, options);
  app.get("/api/v1/samples", async (request) => samplesAnswer(options, parametersOf(request)));
  app.get("/api/v1/status/flags", async () => envelope(options.flags));
  // Printing thousands of jobs takes seconds.
  let printed: { readonly config: Config; readonly yaml: string } | undefined;
  app.get("/api/v1/status/config", async () => {
    const config = options.config();
    if (printed?.config !== config) printed = { config, yaml: printConfig(config) };
    return envelope({ yaml: printed.yaml });
  });
  app.get("/api/v1/runtimeinfo", async () => {
    const views = viewTargets(coordinator.view());
    return envelope({
      headSeries: views.reduce((sum, { load }) => sum + load.series, 0),
      processSeries: views.reduce((sum, { load }) => sum + load.rawSeries, 0),
      ConfigHash: coordinator.config.hash,
    });
  });
}

/** Kvass's histogram; paths are those of the routes, so that their number is bounded. */
function measureRequests(app: FastifyInstance, registry: Registry): void {
  app.addHook("onResponse", async (request, reply) => {
    registry
      .histogram(
        "kvass_coordinator_http_request_duration_seconds",
        "Time of the coordinator's answers.",
        {
          bounds: [0.01, 0.1, 0.3, 0.5, 1, 3, 5, 10],
          labels: {
            path: request.routeOptions.url ?? "none",
            code: String(reply.statusCode),
          },
        },
      )
      .observe(reply.elapsedTime / 1000);
  });
}
