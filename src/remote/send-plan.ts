/** How many queues a remote should have, from how it went lately. */
export interface SendRates {
  /** Samples read from the log a second, those that a rule drops left out. */
  readonly inPerSecond: number;
  /** Samples sent a second. */
  readonly outPerSecond: number;
  /** Seconds spent on sending, of all queues together, a second. */
  readonly busyPerSecond: number;
  /** How far the newest sent sample is behind the newest read one. */
  readonly behindSeconds: number;
}

/** A change smaller than this part is not made. */
const TOLERANCE = 0.3;
/** So much of what waits is to be caught up a second, beside what comes. */
const CATCH_UP_PART = 0.05;

/** As Prometheus: as many as are busy with what comes, and with a part of what waits. */
export function planShards(
  rates: SendRates,
  limits: { current: number; min: number; max: number },
): number {
  const { current, min, max } = limits;
  const clamp = (count: number): number => Math.min(max, Math.max(min, count));
  if (rates.outPerSecond <= 0) return clamp(current);
  const secondsPerSample = rates.busyPerSecond / rates.outPerSecond;
  const waiting = Math.max(0, rates.behindSeconds) * rates.inPerSecond;
  const desired = secondsPerSample * (rates.inPerSecond + CATCH_UP_PART * waiting);
  if (Math.abs(desired / current - 1) < TOLERANCE) return clamp(current);
  return clamp(Math.ceil(desired));
}
