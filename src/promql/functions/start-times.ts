/** What start timestamps say about counters. All times are ms; a start time of 0 is not known. */

export interface StartedSample {
  readonly timeMs: number;
  readonly startMs: number;
}

/**
 * Whether the counter started anew between two samples: it did when it started after the sample before. Starting
 * exactly there means so only if the start of the sample before is known, as for series of deltas; else it is a
 * cumulative series whose start nobody knows.
 */
export function isStartReset(before: StartedSample, sample: StartedSample): boolean {
  const { startMs } = sample;
  if (startMs === 0 || startMs >= sample.timeMs || startMs < before.timeMs) return false;
  if (startMs > before.timeMs) return true;
  return before.startMs !== 0 && before.startMs < before.timeMs;
}

/** Whether the sample counts from before the last one on, and not from where that one did: worth a warning. */
export function overlapsBefore(before: StartedSample, sample: StartedSample): boolean {
  const { startMs } = sample;
  return startMs !== 0 && startMs < before.timeMs && startMs !== before.startMs;
}
