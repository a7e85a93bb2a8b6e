import { type Random, randomInt } from "../base/random.ts";
import { type FleetCurve, shareAt } from "./fleet-curve.ts";
import { HOUR_MS, type SimTarget } from "./sim-target.ts";

/** How a fleet changes over the run: along a curve, and by targets that are replaced by others of their kind. */
export interface HistoryOptions {
  /** Targets that exist where the curve is at 1. */
  readonly targets: number;
  readonly curve: FleetCurve;
  /** Share of the targets that is replaced by others in an hour. */
  readonly churnPerHour: number;
  readonly startMs: number;
  readonly durationMs: number;
  readonly random: Random;
  /** Who is there at the beginning, as far as the curve allows. */
  readonly initial: readonly SimTarget[];
  /** A further target, born at `bornMs`. */
  readonly make: (bornMs: number) => SimTarget;
}

/** How finely births and deaths follow the curve. */
const STEP_MS = 10_000;

/** A target that exists at the moment, while the history is made up. */
interface Living {
  readonly target: SimTarget;
  goneMs: number;
}

/** Every target that exists at any time of the run. The same options make the same fleet. */
export function makeHistory(options: HistoryOptions): SimTarget[] {
  const { random, make, initial, startMs, durationMs, curve, targets, churnPerHour } = options;
  const all: Living[] = [];
  const living: Living[] = [];
  const add = (target: SimTarget): void => {
    const entry = { target, goneMs: Infinity };
    all.push(entry);
    living.push(entry);
  };
  const bury = (goneMs: number): void => {
    const index = randomInt(random, living.length);
    living[index]!.goneMs = goneMs;
    living[index] = living.at(-1)!;
    living.pop();
  };
  for (const target of initial) add(target);
  let due = 0;
  for (let atMs = 0; atMs < durationMs; atMs += STEP_MS) {
    const timeMs = (): number =>
      atMs === 0 ? startMs : startMs + atMs + Math.floor(random.next() * STEP_MS);
    const wanted = Math.round(targets * shareAt(curve, atMs));
    while (living.length < wanted) add(make(timeMs()));
    while (living.length > wanted) bury(timeMs());
    due += (living.length * churnPerHour * STEP_MS) / HOUR_MS;
    for (; due >= 1 && living.length > 0; due--) {
      bury(timeMs());
      add(make(timeMs()));
    }
  }
  return (
    all
      // One that would go before it comes has never been.
      .filter(({ target, goneMs }) => goneMs > target.bornMs)
      .map(({ target, goneMs }) => (goneMs === Infinity ? target : { ...target, goneMs }))
  );
}
