import type { MetricKind, MetricMetadata } from "../model/metadata.ts";
import type { RecordBytes } from "./record.ts";
import { RecordReader } from "./record-reader.ts";
import type { RecordGroup } from "./writer.ts";

/** Records of what series say of themselves. Format: docs/format/wal.md. */
export const RECORD_METADATA = 6;

export interface LoggedMetadata {
  readonly ref: number;
  readonly metadata: MetricMetadata;
}

/** By the number that stands for them in records. */
const KINDS: readonly MetricKind[] = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "gaugehistogram",
  "summary",
  "info",
  "stateset",
];

/** Adds a record of `entries`, unless there are none. */
export function encodeMetadataRecord(group: RecordGroup, entries: readonly LoggedMetadata[]): void {
  if (entries.length === 0) return;
  const { buffer } = group;
  buffer.putByte(RECORD_METADATA);
  for (const { ref, metadata } of entries) {
    buffer.putUvarint(ref);
    buffer.putByte(KINDS.indexOf(metadata.type));
    buffer.putUvarint(2);
    buffer.putText("UNIT");
    buffer.putText(metadata.unit);
    buffer.putText("HELP");
    buffer.putText(metadata.help);
  }
  group.end();
}

/** Reads the entries of a record. Throws `corrupt` when it is malformed. Fields that nobody knows are passed over. */
export function decodeMetadataRecord(
  record: RecordBytes,
  onEntry: (entry: LoggedMetadata) => void,
): void {
  const reader = new RecordReader(record, "a record of metadata");
  while (!reader.isAtEnd) {
    const ref = reader.uvarint();
    const type = KINDS[reader.byte()] ?? "unknown";
    const fields = new Map<string, string>();
    for (let rest = reader.count(2); rest > 0; rest--) fields.set(reader.text(), reader.text());
    const metadata = { type, help: fields.get("HELP") ?? "", unit: fields.get("UNIT") ?? "" };
    onEntry({ ref, metadata });
  }
}
