import type { Logger } from "../base/logger.ts";
import { rewriteDamagedSegment, truncateFile } from "../wal/checkpoint.ts";
import { readSegment, type SegmentReport } from "../wal/reader.ts";
import type { RecordBytes } from "../wal/record.ts";
import type { SegmentFile } from "../wal/segment.ts";

export interface ReadLogOptions {
  readonly quarantine: string;
  readonly nowMs: number;
  readonly logger: Logger;
  /** Change no file: what is damaged stays, and its readable records count. */
  readonly isReadOnly: boolean;
  /** Hears how many bytes of the file are done. */
  readonly onRead: (offset: number) => void;
}

/**
 * Reads one segment of a log and repairs it: a torn end of the last one is cut off; one that is damaged is set aside in
 * quarantine, and its readable records written anew. Answers how many damaged places have lost records.
 */
export async function readLogSegment(
  file: SegmentFile & { readonly isLast: boolean },
  onRecord: (record: RecordBytes) => void,
  options: ReadLogOptions,
): Promise<number> {
  const { logger, onRead } = options;
  const report = await readSegment(file.path, onRecord, { onRead });
  const [first] = report.damages;
  if (first === undefined) return 0;
  const place = { segment: file.path, offset: first.offset, reason: first.reason };
  if (options.isReadOnly) {
    logger.warn("the write-ahead log is damaged", place);
    return 0;
  }
  if (isTorn(report, file)) {
    await truncateFile(file.path, report.goodSize);
    logger.warn("cut off the torn end of the write-ahead log", {
      ...place,
      offset: report.goodSize,
      bytes: report.size - report.goodSize,
    });
    return 0;
  }
  const { keptAs } = await rewriteDamagedSegment(file, options);
  logger.error("the write-ahead log is damaged: records are lost", {
    ...place,
    damages: report.damages.length,
    readable_records: report.recordCount,
    kept_as: keptAs,
  });
  return report.damages.length;
}

/** Damage with nothing readable after it, in the file written last, is a write that a crash cut short. */
function isTorn(report: SegmentReport, file: { isLast: boolean }): boolean {
  return file.isLast && report.damages.every((damage) => damage.recordsAfter === 0);
}
