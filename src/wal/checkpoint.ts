import { copyFile, mkdir, open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { MetricMetadata } from "../model/metadata.ts";
import {
  decodeExemplarRecord,
  encodeExemplarRecord,
  type LoggedExemplar,
  RECORD_EXEMPLARS,
} from "./exemplar-record.ts";
import {
  decodeHistogramRecord,
  encodeHistogramRecords,
  isHistogramRecord,
  type LoggedHistogram,
} from "./histogram-record.ts";
import { decodeMetadataRecord, encodeMetadataRecord, RECORD_METADATA } from "./metadata-record.ts";
import { readSegment, type SegmentReport } from "./reader.ts";
import {
  decodeSamples,
  decodeSeries,
  encodeSamples,
  isSamplesRecord,
  RECORD_SERIES,
  type RecordBytes,
  SampleColumns,
} from "./record.ts";
import {
  listCheckpoints,
  listSegments,
  PAGE_BYTES,
  type SegmentFile,
  segmentName,
} from "./segment.ts";
import {
  decodeTombstoneRecord,
  encodeTombstoneRecord,
  type LoggedTombstone,
  RECORD_TOMBSTONES,
} from "./tombstone-record.ts";
import { RecordGroup, WalWriter } from "./writer.ts";

/** What a checkpoint keeps. */
export interface CheckpointFilter {
  /** The ref to write for `ref`, or -1 to drop the series and its samples. */
  mapRef(ref: number): number;
  /** Samples before this time are dropped. */
  readonly minTimeMs: number;
  /** What was deleted before this time is forgotten. */
  readonly minDeletedTimeMs: number;
}

/**
 * Condenses the last checkpoint and all segments up to `lastIndex` into `checkpoint.<lastIndex>`, then deletes them.
 * A crash at any point leaves the log complete: the checkpoint is built aside and renamed when it is on disk.
 * Records of other kinds are kept as they are. Format: docs/format/wal.md.
 */
export async function writeCheckpoint(
  folder: string,
  lastIndex: number,
  options: CheckpointFilter & { segmentBytes: number },
): Promise<void> {
  const name = `checkpoint.${String(lastIndex).padStart(8, "0")}`;
  const building = join(folder, `${name}.tmp`);
  await rm(building, { recursive: true, force: true });
  const older = (await listCheckpoints(folder)).filter((file) => file.index < lastIndex);
  const segments = (await listSegments(folder)).filter((file) => file.index <= lastIndex);
  const inputs: SegmentFile[] = [];
  const last = older.at(-1);
  if (last !== undefined) inputs.push(...(await listSegments(last.path)));
  inputs.push(...segments.filter((file) => file.index > (last?.index ?? -1)));
  const writer = await WalWriter.open({
    folder: building,
    segmentBytes: options.segmentBytes,
    compression: "none",
  });
  const copier = new Copier(options);
  try {
    for (const input of inputs) {
      // Records pile up while the file is read; a segment is bounded, and so is the group.
      await readSegment(input.path, (record) => copier.copy(record));
      await writer.write(copier.group);
      copier.group.clear();
    }
    copier.finish();
    await writer.write(copier.group);
  } finally {
    await writer.close();
  }
  await rename(building, join(folder, name));
  await syncFolder(folder);
  for (const file of [...older, ...segments]) await rm(file.path, { recursive: true, force: true });
}

class Copier {
  readonly group = new RecordGroup();
  readonly #filter: CheckpointFilter;
  readonly #columns = new SampleColumns();
  readonly #seen = new Set<number>();
  readonly #metadata = new Map<number, MetricMetadata>();
  #refs = new Int32Array(1024);
  #indices = new Uint32Array(1024);

  constructor(filter: CheckpointFilter) {
    this.#filter = filter;
  }

  copy(record: RecordBytes): void {
    const type = record.bytes[record.start];
    if (type === RECORD_SERIES) this.#series(record);
    else if (isSamplesRecord(type!)) this.#samples(record);
    else if (isHistogramRecord(type!)) this.#histograms(record);
    else if (type === RECORD_EXEMPLARS) this.#exemplars(record);
    else if (type === RECORD_TOMBSTONES) this.#tombstones(record);
    else if (type === RECORD_METADATA)
      decodeMetadataRecord(record, ({ ref, metadata }) => {
        const mapped = this.#filter.mapRef(ref);
        if (mapped >= 0) this.#metadata.set(mapped, metadata);
      });
    else {
      this.group.buffer.putBytes(record.bytes, record.start, record.end);
      this.group.end();
    }
  }

  #series(record: RecordBytes): void {
    const { buffer } = this.group;
    let kept = 0;
    decodeSeries(record, (ref, _flat, range) => {
      const mapped = this.#filter.mapRef(ref);
      if (mapped < 0 || this.#seen.has(mapped)) return;
      this.#seen.add(mapped);
      if (kept++ === 0) buffer.putByte(RECORD_SERIES);
      buffer.putUint64(mapped);
      buffer.putBytes(record.bytes, range.start + 8, range.end);
    });
    if (kept > 0) this.group.end();
  }

  /** Adds what each series said last. */
  finish(): void {
    encodeMetadataRecord(
      this.group,
      Array.from(this.#metadata, ([ref, metadata]) => ({ ref, metadata })),
    );
  }

  #exemplars(record: RecordBytes): void {
    const kept: LoggedExemplar[] = [];
    decodeExemplarRecord(record, ({ ref, exemplar }) => {
      const mapped = this.#filter.mapRef(ref);
      if (mapped >= 0 && exemplar.timeMs >= this.#filter.minTimeMs)
        kept.push({ ref: mapped, exemplar });
    });
    encodeExemplarRecord(this.group, kept);
  }

  #tombstones(record: RecordBytes): void {
    const kept: LoggedTombstone[] = [];
    decodeTombstoneRecord(record, (tombstone) => {
      const ref = this.#filter.mapRef(tombstone.ref);
      if (ref >= 0 && tombstone.maxTime >= this.#filter.minDeletedTimeMs)
        kept.push({ ...tombstone, ref });
    });
    encodeTombstoneRecord(this.group, kept);
  }

  #histograms(record: RecordBytes): void {
    const kept: LoggedHistogram[] = [];
    decodeHistogramRecord(record, (sample) => {
      const ref = this.#filter.mapRef(sample.ref);
      if (ref >= 0 && sample.timeMs >= this.#filter.minTimeMs) kept.push({ ...sample, ref });
    });
    encodeHistogramRecords(this.group, kept);
  }

  #samples(record: RecordBytes): void {
    const columns = this.#columns;
    decodeSamples(record, columns);
    if (this.#refs.length < columns.count) {
      this.#refs = new Int32Array(columns.refs.length);
      this.#indices = new Uint32Array(columns.refs.length);
    }
    let count = 0;
    for (let i = 0; i < columns.count; i++) {
      if (columns.times[i]! < this.#filter.minTimeMs) continue;
      const mapped = this.#filter.mapRef(columns.refs[i]!);
      if (mapped < 0) continue;
      this.#refs[i] = mapped;
      this.#indices[count++] = i;
    }
    if (count === 0) return;
    encodeSamples(
      this.group.buffer,
      { refs: this.#refs, times: columns.times, values: columns.values },
      { indices: this.#indices, count },
    );
    this.group.end();
  }
}

/**
 * Writes the readable records of a damaged segment anew in its place. The file as it was found is kept in `quarantine`
 * under a name with the log's name, the segment's number and the time.
 */
export async function rewriteDamagedSegment(
  segment: SegmentFile,
  options: { quarantine: string; nowMs: number },
): Promise<{ keptAs: string; report: SegmentReport }> {
  const { quarantine, nowMs } = options;
  await mkdir(quarantine, { recursive: true });
  const log = basename(dirname(segment.path)) === "wbl" ? "wbl" : "wal";
  const keptAs = join(quarantine, `${log}-${segmentName(segment.index)}-${nowMs}`);
  await copyFile(segment.path, keptAs);
  const building = `${segment.path}.tmp`;
  await rm(building, { recursive: true, force: true });
  const group = new RecordGroup();
  const report = await readSegment(keptAs, (record) => {
    group.buffer.putBytes(record.bytes, record.start, record.end);
    group.end();
  });
  const writer = await WalWriter.open({
    folder: building,
    segmentBytes: PAGE_BYTES * 2 ** 20,
    compression: "none",
  });
  try {
    await writer.write(group);
  } finally {
    await writer.close();
  }
  if (group.ends.length === 0) await truncateFile(segment.path, 0);
  else await rename(join(building, "00000000"), segment.path);
  await rm(building, { recursive: true, force: true });
  await syncFolder(join(segment.path, ".."));
  return { keptAs, report };
}

/** Cuts a segment that ends in a torn write. */
export async function truncateFile(path: string, size: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.truncate(size);
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** Makes renames inside `folder` survive a power loss. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
