import type { Target } from "../model/target.ts";
import type { CoordinatorView } from "./coordinator.ts";
import type { PlanOptions } from "./plan-types.ts";
import { type Scraper, scraperOf } from "./target-view.ts";

/** A move under way and what it waits for. */
export interface Move {
  readonly from: string;
  readonly to: string;
  readonly sinceMs: number;
  readonly goodScrapes: number;
  readonly neededScrapes: number;
  readonly failedScrapes: number;
  /** Failed scrapes in a row from the start that undo the move. */
  readonly rollbackScrapes: number;
}

/** A target's moves that are under way: at most one in each replica group. */
export function movesOf(scrapers: readonly Scraper[], options: PlanOptions): Move[] {
  return scrapers.flatMap((from) => {
    if (from.status.state !== "in_transfer") return [];
    const to = scrapers.find(
      ({ group, status }) => group === from.group && status.state === "normal",
    );
    if (to === undefined) return [];
    const { assignedAtMs, scrapes, goodScrapes } = to.status;
    return [
      {
        from: from.shard,
        to: to.shard,
        sinceMs: assignedAtMs,
        goodScrapes,
        neededScrapes: options.transferScrapes,
        failedScrapes: scrapes - goodScrapes,
        rollbackScrapes: options.rollbackScrapes,
      },
    ];
  });
}

/** All moves under way, by group and shard, with their targets. */
export function movesUnderWay(
  view: CoordinatorView,
  options: PlanOptions,
): { readonly target: Target; readonly move: Move }[] {
  return view.groups.flatMap(({ name, shards }) =>
    shards.flatMap(({ instance, statuses, specs }) =>
      [...statuses].flatMap(([hash, { state }]) => {
        const target = specs.get(hash)?.target;
        if (state !== "in_transfer" || target === undefined) return [];
        const scrapers = shards.flatMap((record) => {
          const status = record.statuses.get(hash);
          return status === undefined ? [] : [scraperOf(name, record, status)];
        });
        return movesOf(scrapers, options)
          .filter(({ from }) => from === instance.id)
          .map((move) => ({ target, move }));
      }),
    ),
  );
}

/** What the move waits for, in words. */
export function moveText(move: Move): string {
  const { from, to, goodScrapes, neededScrapes, failedScrapes, rollbackScrapes } = move;
  const scrapes = neededScrapes === 1 ? "scrape" : "scrapes";
  const failed =
    goodScrapes === 0 && failedScrapes > 0
      ? `; ${failedScrapes} failed, after ${rollbackScrapes} it goes back if ${from} can scrape it`
      : "";
  return `${from} goes on until ${to} has ${neededScrapes} good ${scrapes}: ${goodScrapes} so far${failed}`;
}
