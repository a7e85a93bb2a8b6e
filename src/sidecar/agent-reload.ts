import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { PrometheusClient } from "./prometheus-client.ts";
import { metricIn } from "./prometheus-health.ts";

const RELOADS = "vm_promscrape_config_reloads_total";
const ERRORS = "vm_promscrape_config_reloads_errors_total";

/** How long an agent's word is waited for, and how often it is asked. */
export const AGENT_RELOAD_TIMEOUT_MS = 2_000;
const LOOK_EVERY_MS = 200;

/**
 * Reloads an agent. vmagent answers a reload before it has read anything, and with 200 whatever comes of it: how it went
 * is in its metrics. An agent that has other metrics, or finds that nothing has changed, is believed.
 */
export async function reloadAgent(
  client: Pick<PrometheusClient, "reload" | "text">,
  clock: Clock,
): Promise<void> {
  const before = await countsOf(client);
  await client.reload();
  if (before === undefined) return;
  const untilMs = clock.monotonic() + AGENT_RELOAD_TIMEOUT_MS;
  while (clock.monotonic() < untilMs) {
    const now = await countsOf(client);
    if (now !== undefined && now.errors > before.errors)
      throw new AppError(
        "bad-data",
        "cannot reload the agent: it refuses the configuration, and its log says why; vmagent needs -promscrape.config.strictParse=false",
      );
    if (now !== undefined && now.reloads > before.reloads) return;
    await clock.sleep(LOOK_EVERY_MS);
  }
}

async function countsOf(
  client: Pick<PrometheusClient, "text">,
): Promise<{ reloads: number; errors: number } | undefined> {
  // What has no metrics tells nothing either.
  const text = await client.text("/metrics").catch(() => "");
  const [reloads, errors] = [metricIn(text, RELOADS), metricIn(text, ERRORS)];
  return Number.isNaN(reloads) || Number.isNaN(errors) ? undefined : { reloads, errors };
}
