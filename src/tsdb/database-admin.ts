import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { type Random } from "../base/random.ts";
import { deleteFromBlock } from "../block/delete.ts";
import { mergeBlocks } from "../block/merge.ts";
import { newUlid } from "../block/ulid.ts";
import { formatMatcher } from "../model/matcher.ts";
import type { BlockSet } from "./block-set.ts";
import { tellUnreadable } from "./database-maintenance.ts";
import type { Head } from "./head.ts";
import type { DeleteRequest } from "./head-delete.ts";
import { writeHeadStart } from "./head-start.ts";

/** What an administrator asks of a database by hand. One thing at a time, and none while it is maintained. */
export interface AdminParts {
  readonly folder: string;
  readonly head: Head;
  readonly blocks: BlockSet;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** Deletes samples of head and blocks; when it resolves that is on disk. */
export async function deleteSeries(parts: AdminParts, request: DeleteRequest): Promise<void> {
  // As in Prometheus, `{}` deletes nothing, though every other selector that an empty value matches deletes all it names.
  if (request.matchers.length === 0) return;
  const { head, blocks, logger } = parts;
  const seriesCount = await head.delete(request);
  let blockCount = 0;
  for (const block of blocks.blocks.filter((one) => one.overlaps(request))) {
    if (!(await deleteFromBlock(block, request))) continue;
    await blocks.reload(block.meta.ulid);
    blockCount++;
  }
  logger.info("deleted samples", {
    matchers: `{${request.matchers.map(formatMatcher).join(",")}}`,
    min_time: request.minTimeMs,
    max_time: request.maxTimeMs,
    head_series: seriesCount,
    blocks: blockCount,
  });
}

/** Writes blocks with deleted samples anew, without them; one that has no others goes. */
export async function cleanTombstones(parts: AdminParts): Promise<void> {
  const { folder, head, blocks, clock, random, logger, signal } = parts;
  for (const block of blocks.blocks.filter(({ tombstones }) => tombstones.size > 0)) {
    const { ulid, minTime, maxTime, compaction } = block.meta;
    const cleaned = newUlid({ clock, random });
    const written = await mergeBlocks([block], {
      parent: folder,
      ulid: cleaned,
      signal,
      onUnreadable: (labels, error) => tellUnreadable(logger, labels, error),
      // As Prometheus: it is its own source now, and what it was made from is obsolete.
      meta: {
        minTime,
        maxTime,
        compaction: {
          level: 1,
          sources: [cleaned],
          parents: [{ ulid, minTime, maxTime }],
          ...(compaction.hints === undefined ? {} : { hints: compaction.hints }),
        },
      },
    });
    if (written === undefined) await writeHeadStart(folder, head.lowestTimeMs);
    else await blocks.load(written);
    await blocks.delete(ulid);
    logger.info("wrote a block without what was deleted from it", {
      block: ulid,
      cleaned: written === undefined ? "nothing was left" : cleaned,
    });
  }
}
