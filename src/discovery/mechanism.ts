import type { Clock } from "../base/clock.ts";
import { isAbort, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { HttpClientConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import type { Environment } from "../http/proxy.ts";
import type { TargetGroup } from "../model/target.ts";
import type { KubernetesWatches } from "./kubernetes/watches.ts";

/** One service-discovery section at work: it reports what it finds until it is stopped. */
export interface Mechanism {
  /** Runs until `signal` aborts, then resolves. May report before it first waits. */
  run(report: Report, signal: AbortSignal): Promise<void>;
}

/** Everything that a mechanism finds now; it replaces what was reported before. */
export interface Finding {
  /** All groups there are; left out when the last list stands, because looking failed. */
  readonly groups?: readonly TargetGroup[];
  /**
   * Instead of `groups`, after a first list: gives the groups that have changed since it was last called, those without
   * targets being gone. It is called when the next delivery is due, so that what changes again and again is built once.
   */
  readonly changes?: () => readonly TargetGroup[];
  /**
   * Set when the groups may lack some that there are: a part of what has to be looked at has not answered yet. Nothing may
   * be taken to be gone then.
   */
  readonly isPartial?: boolean;
  /** What went wrong; empty when nothing did. */
  readonly errors: readonly string[];
}

export type Report = (finding: Finding) => void;

/** What every mechanism is given. */
export interface MechanismContext {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly registry: Registry;
  /** Environment variables, for mechanisms whose own clients read them. */
  readonly environment: Environment;
  readonly createHttpClient: (config: HttpClientConfig) => HttpClient;
  readonly kubernetes: KubernetesWatches;
}

/**
 * A mechanism that looks anew every `intervalMs`, the first time at once. When looking fails, the last list stands, the
 * error is reported and logged, and Prometheus's failure counter moves.
 */
export async function refreshLoop(
  options: {
    mechanism: string;
    intervalMs: number;
    context: MechanismContext;
    report: Report;
    signal: AbortSignal;
  },
  refresh: (signal: AbortSignal) => Promise<Finding>,
): Promise<void> {
  const { mechanism, intervalMs, context, report, signal } = options;
  const failures = context.registry.counter(
    "prometheus_sd_refresh_failures_total",
    "Number of refresh failures for the given SD mechanism.",
    { mechanism },
  );
  while (!signal.aborted) {
    try {
      const finding = await refresh(signal);
      if (!signal.aborted) report(finding);
    } catch (error) {
      if (signal.aborted) return;
      failures.inc();
      context.logger.error("cannot refresh targets", { discovery: mechanism, error });
      report({ errors: [messageOf(error)] });
    }
    await pause(context.clock, intervalMs, signal);
  }
}

/** Waits `delayMs` or until `signal` aborts, whichever comes first. */
export async function pause(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  try {
    await clock.sleep(delayMs, signal);
  } catch (error) {
    if (!signal.aborted && !isAbort(error)) throw error;
  }
}
