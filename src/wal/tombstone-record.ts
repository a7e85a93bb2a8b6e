import type { RecordBytes } from "./record.ts";
import { RecordReader } from "./record-reader.ts";
import type { RecordGroup } from "./writer.ts";

/** Records of what was deleted. Format: docs/format/wal.md. */
export const RECORD_TOMBSTONES = 3;

/** A deleted stretch of a series, both ends inclusive, ms. */
export interface LoggedTombstone {
  readonly ref: number;
  readonly minTime: number;
  readonly maxTime: number;
}

/** Adds a record of `tombstones`, unless there are none. */
export function encodeTombstoneRecord(
  group: RecordGroup,
  tombstones: readonly LoggedTombstone[],
): void {
  if (tombstones.length === 0) return;
  const { buffer } = group;
  buffer.putByte(RECORD_TOMBSTONES);
  for (const { ref, minTime, maxTime } of tombstones) {
    buffer.putUint64(ref);
    buffer.putVarint(minTime);
    buffer.putVarint(maxTime);
  }
  group.end();
}

/** Reads the tombstones of a record. Throws `corrupt` when it is malformed. */
export function decodeTombstoneRecord(
  record: RecordBytes,
  onTombstone: (tombstone: LoggedTombstone) => void,
): void {
  const reader = new RecordReader(record, "a record of tombstones");
  while (!reader.isAtEnd)
    onTombstone({ ref: reader.uint64(), minTime: reader.varint(), maxTime: reader.varint() });
}
