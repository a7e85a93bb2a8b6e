import { AppError } from "./errors.ts";
import type { Logger } from "./logger.ts";

/**
 * A long-running part of the program. `start` resolves when the part is ready to serve; `stop` drains and releases
 * everything, and is safe to call after a failed start. `done` rejects when the part dies by itself.
 */
export interface Service {
  readonly name: string;
  start(): Promise<void>;
  stop(): Promise<void>;
  readonly done?: Promise<never>;
}

/**
 * Starts `services` in order, waits until `signal` aborts or one of them dies, then stops them in reverse order.
 * Rejects with the first failure. Every service that was started is stopped, whatever happens.
 */
export async function runServices(
  services: readonly Service[],
  options: { signal: AbortSignal; logger: Logger; onReady?: () => void },
): Promise<void> {
  const { signal, logger } = options;
  const started: Service[] = [];
  let failure: unknown;
  try {
    for (const service of services) {
      if (signal.aborted) break;
      started.push(service);
      await service.start();
      logger.debug("service started", { service: service.name });
    }
    if (!signal.aborted) {
      options.onReady?.();
      await Promise.race([
        aborted(signal),
        ...started.flatMap((service) => (service.done === undefined ? [] : [service.done])),
      ]);
    }
  } catch (error) {
    failure = error;
  }
  for (const service of started.reverse()) {
    try {
      await service.stop();
      logger.debug("service stopped", { service: service.name });
    } catch (error) {
      logger.error("cannot stop service cleanly", { service: service.name, error });
      failure ??= error;
    }
  }
  if (failure !== undefined) throw AppError.from(failure);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
