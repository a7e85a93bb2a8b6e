import type { Exemplar } from "../model/exemplar.ts";
import { Labels } from "../model/labels.ts";
import type { RecordBytes } from "./record.ts";
import { RecordReader } from "./record-reader.ts";
import type { RecordGroup } from "./writer.ts";

/** Records of exemplars. Format: docs/format/wal.md. */
export const RECORD_EXEMPLARS = 4;

export interface LoggedExemplar {
  readonly ref: number;
  readonly exemplar: Exemplar;
}

/** Adds a record of `exemplars`, unless there are none. */
export function encodeExemplarRecord(
  group: RecordGroup,
  exemplars: readonly LoggedExemplar[],
): void {
  const first = exemplars[0];
  if (first === undefined) return;
  const { buffer } = group;
  buffer.putByte(RECORD_EXEMPLARS);
  buffer.putUint64(first.ref);
  buffer.putInt64(first.exemplar.timeMs);
  for (const { ref, exemplar } of exemplars) {
    buffer.putVarint(ref - first.ref);
    buffer.putVarint(exemplar.timeMs - first.exemplar.timeMs);
    buffer.putFloat64(exemplar.value);
    buffer.putUvarint(exemplar.labels.count);
    for (const [name, value] of exemplar.labels) {
      buffer.putText(name);
      buffer.putText(value);
    }
  }
  group.end();
}

/** Reads the exemplars of a record. Throws `corrupt` when it is malformed. */
export function decodeExemplarRecord(
  record: RecordBytes,
  onExemplar: (logged: LoggedExemplar) => void,
): void {
  const reader = new RecordReader(record, "a record of exemplars");
  if (reader.isAtEnd) return;
  const firstRef = reader.uint64();
  const firstTimeMs = reader.int64();
  while (!reader.isAtEnd) {
    const ref = firstRef + reader.varint();
    const timeMs = firstTimeMs + reader.varint();
    const value = reader.float64();
    const pairs: [string, string][] = [];
    for (let rest = reader.count(2); rest > 0; rest--) pairs.push([reader.text(), reader.text()]);
    onExemplar({ ref, exemplar: { labels: Labels.fromPairs(pairs), value, timeMs } });
  }
}
