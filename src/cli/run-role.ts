import { createLogger, type Logger } from "../base/logger.ts";
import { runServices, type Service } from "../base/service.ts";
import type { LOG_FLAGS } from "./common-flags.ts";
import type { FlagValues } from "./flags.ts";

export function loggerOf(flags: FlagValues<typeof LOG_FLAGS>, component?: string): Logger {
  const logger = createLogger({ level: flags.logLevel, format: flags.logFormat });
  return component === undefined ? logger : logger.with({ component });
}

export interface RunOptions {
  readonly logger: Logger;
  readonly onReady?: () => void;
  /** SIGHUP. */
  readonly onHangup?: () => void;
  /** Ends the role as a signal would. */
  readonly abort?: AbortController;
}

/**
 * Runs `services` until SIGTERM or SIGINT, then drains. A second signal ends the process at once. SIGHUP never ends a
 * role: a terminal that closes is no reason to lose data.
 */
export async function runUntilSignal(
  services: readonly Service[],
  { logger, onReady, onHangup, abort = new AbortController() }: RunOptions,
): Promise<void> {
  const onSignal = (signal: NodeJS.Signals): void => {
    if (abort.signal.aborted) process.exit(1);
    logger.info("draining", { signal });
    abort.abort();
  };
  const hangUp = onHangup ?? ((): void => {});
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal).on("SIGHUP", hangUp);
  try {
    await runServices(services, {
      signal: abort.signal,
      logger,
      ...(onReady !== undefined && { onReady }),
    });
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal).off("SIGHUP", hangUp);
  }
}
