import type { RecordBytes, SampleColumns } from "./record.ts";
import { RecordReader } from "./record-reader.ts";

/** How a sample's start time is told, but for the first one's. Format: docs/format/wal.md. */
const NO_START_TIME = 0;
const SAME_START_TIME = 1;

/** Passes over the start time of a sample that is not the first one of its record. */
export function skipStartTime(reader: RecordReader): void {
  const marker = reader.byte();
  if (marker !== NO_START_TIME && marker !== SAME_START_TIME) reader.varint();
}

/** Decodes a record of floats with start times, which are left out, into `into`; throws `corrupt` when it is malformed. */
export function decodeStartedSamples(record: RecordBytes, into: SampleColumns): void {
  const reader = new RecordReader(record, "a samples record");
  let ref = 0;
  let firstTimeMs = 0;
  into.count = 0;
  while (!reader.isAtEnd) {
    if (into.count === into.refs.length) into.grow();
    const i = into.count;
    ref += reader.varint();
    if (i === 0) {
      firstTimeMs = reader.varint();
      into.times[i] = firstTimeMs;
      reader.varint();
    } else {
      into.times[i] = firstTimeMs + reader.varint();
      skipStartTime(reader);
    }
    into.refs[i] = ref;
    into.values.set(reader.float64s(1), i);
    into.count++;
  }
}
