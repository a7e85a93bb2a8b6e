import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../base/logger.ts";
import { Labels } from "../model/labels.ts";
import { rewriteDamagedSegment, truncateFile } from "../wal/checkpoint.ts";
import {
  decodeExemplarRecord,
  type LoggedExemplar,
  RECORD_EXEMPLARS,
} from "../wal/exemplar-record.ts";
import {
  decodeHistogramRecord,
  isHistogramRecord,
  type LoggedHistogram,
} from "../wal/histogram-record.ts";
import {
  decodeMetadataRecord,
  type LoggedMetadata,
  RECORD_METADATA,
} from "../wal/metadata-record.ts";
import { readSegment, type SegmentReport } from "../wal/reader.ts";
import {
  decodeSamples,
  decodeSeries,
  RECORD_SAMPLES,
  RECORD_SERIES,
  type RecordBytes,
  SampleColumns,
} from "../wal/record.ts";
import { listCheckpoints, listSegments, type SegmentFile } from "../wal/segment.ts";
import { APPENDED, type AppendOutcome, type HeadStore, UNKNOWN_REF } from "./head-store.ts";
import { HeadReader } from "./select.ts";
import { REF_MAX } from "./series-table.ts";

export interface ReplayProgress {
  /** Segments read so far, and how many there are. */
  readonly segmentCount: number;
  readonly segmentTotal: number;
}

export interface ReplayResult {
  readonly seriesCount: number;
  readonly sampleCount: number;
  /** Damaged places that lost records; 0 after a clean stop or a crash. */
  readonly corruptionCount: number;
  /** The newest sample of each segment, for truncation. */
  readonly segmentMaxTimes: Map<number, number>;
  /** Refs in the log that stand for a series known under another ref. */
  readonly aliases: Map<number, number>;
  /** Series whose ref in memory has no record in the log yet. */
  readonly unlogged: number[];
}

/**
 * Fills `store` from the write-ahead log in `folder`: the last checkpoint, then the segments after it. A torn end is cut
 * off. A damaged segment is set aside in `quarantine`, its readable records stay, and the loss is reported; samples
 * before `minTimeMs` are skipped.
 */
export async function replayWal(
  store: HeadStore,
  options: {
    folder: string;
    quarantine: string;
    minTimeMs: number;
    nowMs: number;
    logger: Logger;
    onProgress?: (progress: ReplayProgress) => void;
    /** Change no file: what is damaged stays, and its readable records count. Default no. */
    isReadOnly?: boolean;
  },
): Promise<ReplayResult> {
  const { folder, logger, isReadOnly = false } = options;
  if (!isReadOnly) await removeLeftovers(folder);
  const checkpoint = (await listCheckpoints(folder)).at(-1);
  const segments = (await listSegments(folder)).filter(
    ({ index }) => index > (checkpoint?.index ?? -1),
  );
  const files: (SegmentFile & { final: boolean; inCheckpoint: boolean })[] = [];
  if (checkpoint !== undefined)
    for (const file of await listSegments(checkpoint.path))
      files.push({ ...file, final: false, inCheckpoint: true });
  for (const file of segments) files.push({ ...file, final: false, inCheckpoint: false });
  const final = files.at(-1);
  if (final !== undefined) final.final = true;
  const replay = new Replay(store, options.minTimeMs);
  let corruptionCount = 0;
  for (const [i, file] of files.entries()) {
    replay.maxTimeMs = -Infinity;
    const report = await readSegment(file.path, (record) => replay.record(record));
    if (!file.inCheckpoint) replay.result.segmentMaxTimes.set(file.index, replay.maxTimeMs);
    if (report.damages.length > 0 && isReadOnly)
      logger.warn("the write-ahead log is damaged", {
        segment: file.path,
        offset: report.damages[0]!.offset,
        reason: report.damages[0]!.reason,
      });
    else if (report.damages.length > 0) {
      if (isTorn(report, file)) {
        await truncateFile(file.path, report.goodSize);
        logger.warn("cut off the torn end of the write-ahead log", {
          segment: file.path,
          offset: report.goodSize,
          bytes: report.size - report.goodSize,
          reason: report.damages[0]!.reason,
        });
      } else {
        corruptionCount += report.damages.length;
        const { keptAs } = await rewriteDamagedSegment(file, options);
        logger.error("the write-ahead log is damaged: records are lost", {
          segment: file.path,
          damages: report.damages.length,
          offset: report.damages[0]!.offset,
          reason: report.damages[0]!.reason,
          readable_records: report.recordCount,
          kept_as: keptAs,
        });
      }
    }
    options.onProgress?.({ segmentCount: i + 1, segmentTotal: files.length });
  }
  if (replay.unknownCount > 0)
    logger.warn("skipped samples of series that the write-ahead log does not name", {
      samples: replay.unknownCount,
    });
  return {
    ...replay.result,
    seriesCount: store.series.count,
    sampleCount: replay.sampleCount,
    corruptionCount,
  };
}

/** Damage with nothing readable after it, in the file written last, is a write that a crash cut short. */
function isTorn(report: SegmentReport, file: { final: boolean }): boolean {
  return file.final && report.damages.every((damage) => damage.recordsAfter === 0);
}

/** Deletes what a crash left behind: unfinished files, and all that the last checkpoint stands for. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => []))
    if (name.endsWith(".tmp")) await rm(join(folder, name), { recursive: true, force: true });
  const checkpoints = await listCheckpoints(folder);
  const last = checkpoints.pop();
  if (last === undefined) return;
  const covered = (await listSegments(folder)).filter((file) => file.index <= last.index);
  for (const file of [...checkpoints, ...covered])
    await rm(file.path, { recursive: true, force: true });
}

class Replay {
  readonly result = {
    segmentMaxTimes: new Map<number, number>(),
    aliases: new Map<number, number>(),
    unlogged: [] as number[],
  };
  sampleCount = 0;
  unknownCount = 0;
  maxTimeMs = -Infinity;
  readonly #store: HeadStore;
  readonly #reader: HeadReader;
  readonly #minTimeMs: number;
  readonly #columns = new SampleColumns();

  constructor(store: HeadStore, minTimeMs: number) {
    this.#store = store;
    this.#reader = new HeadReader(store);
    this.#minTimeMs = minTimeMs;
  }

  record(record: RecordBytes): void {
    const type = record.bytes[record.start];
    if (type === RECORD_SERIES) decodeSeries(record, (ref, flat) => this.#series(ref, flat));
    else if (type === RECORD_SAMPLES) this.#samples(record);
    else if (isHistogramRecord(type!))
      decodeHistogramRecord(record, (sample) => this.#histogram(sample));
    else if (type === RECORD_EXEMPLARS) decodeExemplarRecord(record, (one) => this.#exemplar(one));
    else if (type === RECORD_METADATA) decodeMetadataRecord(record, (one) => this.#metadata(one));
  }

  #series(ref: number, flat: string[]): void {
    const pairs: [string, string][] = [];
    for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i]!, flat[i + 1]!]);
    const labels = Labels.fromPairs(pairs);
    if (labels.count === 0) return;
    // A ref that is in use for other labels (a damaged log), or that is beyond what a head can hold, gets another one.
    const usable = ref > 0 && ref < REF_MAX && !this.#store.series.has(ref);
    const series = this.#store.resolve(labels, usable ? ref : undefined);
    if (series.created && !usable) this.result.unlogged.push(series.ref);
    if (series.ref !== ref) this.result.aliases.set(ref, series.ref);
    if (ref < REF_MAX) this.#store.series.skipRefs(ref);
  }

  #samples(record: RecordBytes): void {
    const columns = this.#columns;
    decodeSamples(record, columns);
    const { refs, times, words, count } = columns;
    const { aliases } = this.result;
    for (let i = 0; i < count; i++) {
      const t = times[i]!;
      if (t > this.maxTimeMs) this.maxTimeMs = t;
      if (t < this.#minTimeMs) continue;
      let ref = refs[i]!;
      if (aliases.size > 0) ref = aliases.get(ref) ?? ref;
      const outcome =
        ref > REF_MAX ? UNKNOWN_REF : this.#store.append(ref, t, words[2 * i]!, words[2 * i + 1]!);
      this.#count(outcome, ref);
    }
  }

  #histogram(sample: LoggedHistogram): void {
    const { timeMs } = sample;
    if (timeMs > this.maxTimeMs) this.maxTimeMs = timeMs;
    if (timeMs < this.#minTimeMs) return;
    const ref = this.result.aliases.get(sample.ref) ?? sample.ref;
    const outcome = ref > REF_MAX ? UNKNOWN_REF : this.#store.appendHistogram(ref, sample);
    this.#count(outcome, ref);
  }

  #exemplar({ ref, exemplar }: LoggedExemplar): void {
    if (exemplar.timeMs < this.#minTimeMs) return;
    const known = this.result.aliases.get(ref) ?? ref;
    if (this.#store.series.has(known))
      this.#store.exemplars.add(this.#reader.labels(known), exemplar);
  }

  #metadata({ ref, metadata }: LoggedMetadata): void {
    const known = this.result.aliases.get(ref) ?? ref;
    if (this.#store.series.has(known)) this.#store.metadata.set(known, metadata);
  }

  #count(outcome: AppendOutcome, ref: number): void {
    if (outcome === APPENDED) this.sampleCount++;
    else if (outcome === UNKNOWN_REF) {
      this.unknownCount++;
      // A collected series may have left samples behind: its ref must not come to mean another one.
      if (ref < REF_MAX) this.#store.series.skipRefs(ref);
    }
  }
}
