import { ReplicaCursor, type Run } from "./replica-cursor.ts";
import type { ReplicaSamples } from "./replica-samples.ts";

/** The penalty while the distance of two samples is not known yet. */
const INITIAL_PENALTY_MS = 5000;

/**
 * Thanos's choice, sample for sample: of both replicas' next samples the earlier one, where that of the replica that was
 * not chosen last has to be later than the last one by more than twice the distance of the last two (the penalty). So the
 * reader stays with one replica until that one has a gap, and does not get twice the samples where replicas scrape at
 * different moments. Where times are equal the first replica wins.
 *
 *     a    ●    ●    ●                  ○    ○    ●  chosen
 *     b      ○    ○    ○    ○    ●    ●    ●      ○  passed over
 *
 * The trick: as long as a replica goes on without a gap the other one is not decoded.
 */
export function chooseByPenalty(first: ReplicaSamples, second: ReplicaSamples): readonly Run[] {
  const cursors = [new ReplicaCursor(0, first), new ReplicaCursor(1, second)] as const;
  const penaltiesMs: [number, number] = [0, 0];
  const runs: Run[] = [];
  let lastMs = -Infinity;
  let side: 0 | 1 = 0;
  for (;;) {
    const own = cursors[side];
    const other = cursors[side === 0 ? 1 : 0];
    own.advance(lastMs + 1 + penaltiesMs[own.side]);
    const ownMs = own.timeMs;
    // Fast path: the other replica has nothing before this, so it does not matter what it has.
    let otherMs = other.lowestTime(lastMs + 1 + penaltiesMs[other.side]);
    if (side === 0 ? ownMs > otherMs : ownMs >= otherMs) {
      other.advance(otherMs);
      otherMs = other.timeMs;
    }
    if (ownMs === Infinity && otherMs === Infinity) return runs;
    const isOwn: boolean = side === 0 ? ownMs <= otherMs : ownMs < otherMs;
    const chosen: ReplicaCursor = isOwn ? own : other;
    side = chosen.side;
    const timeMs = isOwn ? ownMs : otherMs;
    // A replica that has ended has no penalty any more, and none that matters.
    let penaltyMs = lastMs === -Infinity ? INITIAL_PENALTY_MS : 2 * (timeMs - lastMs);
    lastMs = timeMs;
    const start = chosen.index;
    chosen.take(runs, start + 1);
    // Fast path: samples that follow before the other replica's penalty ends.
    const { times } = chosen.samples;
    const end = chosen.decodedEnd();
    let index = chosen.index;
    while (index < end) {
      const deltaMs = times[index]! - lastMs;
      if (deltaMs < 1 || deltaMs > penaltyMs) break;
      penaltyMs = 2 * deltaMs;
      lastMs = times[index]!;
      index++;
    }
    if (index > chosen.index) chosen.take(runs, index);
    penaltiesMs[chosen.side] = 0;
    penaltiesMs[chosen === own ? other.side : own.side] = penaltyMs;
  }
}
