import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "../base/logger.ts";
import { Labels } from "../model/labels.ts";
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
import {
  decodeSamples,
  decodeSeries,
  isSamplesRecord,
  RECORD_SERIES,
  type RecordBytes,
  SampleColumns,
} from "../wal/record.ts";
import { listCheckpoints, listSegments, type SegmentFile } from "../wal/segment.ts";
import {
  decodeTombstoneRecord,
  type LoggedTombstone,
  RECORD_TOMBSTONES,
} from "../wal/tombstone-record.ts";
import { APPENDED, type AppendOutcome, type HeadStore, UNKNOWN_REF } from "./head-store.ts";
import type { ChunkChain, HeadChunks } from "./head-chunk-chains.ts";
import { OUT_OF_ORDER_LOG_FOLDER } from "./out-of-order-log.ts";
import { readLogSegment } from "./read-log.ts";
import { HeadReader } from "./select.ts";
import { REF_MAX } from "./series-table.ts";

export interface ReplayProgress {
  /** Segments read so far, and how many there are. */
  readonly segmentCount: number;
  readonly segmentTotal: number;
  /** Of all of them, in bytes. */
  readonly byteCount: number;
  readonly byteTotal: number;
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

export interface ReplayOptions {
  /** The data folder. */
  readonly folder: string;
  /** Older samples are skipped. */
  readonly minTimeMs: number;
  /** Samples out of order that are older than this are skipped. Default: none. */
  readonly minLateTimeMs?: number;
  readonly nowMs: number;
  readonly logger: Logger;
  /** What files hold of finished chunks. Default: nothing. */
  readonly chunks?: HeadChunks;
  readonly onProgress?: (progress: ReplayProgress) => void;
  /** Change no file: what is damaged stays, and its readable records count. Default no. */
  readonly isReadOnly?: boolean;
}

/**
 * Fills `store` from the logs in a data folder: of the write-ahead log the last checkpoint and the segments after it,
 * then the samples out of order. Torn ends are cut off. A damaged segment is set aside in `quarantine`, its readable
 * records stay, and the loss is reported.
 */
export async function replayLogs(store: HeadStore, options: ReplayOptions): Promise<ReplayResult> {
  const { logger, isReadOnly = false } = options;
  const folder = join(options.folder, "wal");
  if (!isReadOnly) await removeLeftovers(folder);
  const checkpoint = (await listCheckpoints(folder)).at(-1);
  const files: LogFile[] = [];
  if (checkpoint !== undefined)
    for (const file of await listSegments(checkpoint.path))
      files.push({ ...file, isLast: false, kind: "checkpoint" });
  for (const file of await listSegments(folder))
    if (file.index > (checkpoint?.index ?? -1))
      files.push({ ...file, isLast: false, kind: "segment" });
  markLast(files);
  const late: LogFile[] = [];
  for (const file of await listSegments(join(options.folder, OUT_OF_ORDER_LOG_FOLDER)))
    late.push({ ...file, isLast: false, kind: "late" });
  markLast(late);
  const replay = new Replay(store, options);
  if (options.chunks !== undefined) store.series.skipRefs(options.chunks.maxRef);
  let corruptionCount = 0;
  const all = [...files, ...late];
  const sizes = await Promise.all(all.map(async ({ path }) => (await stat(path)).size));
  const byteTotal = sizes.reduce((total, size) => total + size, 0);
  let before = 0;
  const progress = (segmentCount: number, bytes: number): void =>
    options.onProgress?.({
      segmentCount,
      segmentTotal: all.length,
      // The last segment may grow while a tool reads it.
      byteCount: Math.min(before + bytes, byteTotal),
      byteTotal,
    });
  progress(0, 0);
  for (const [i, file] of all.entries()) {
    replay.maxTimeMs = -Infinity;
    const isLate = file.kind === "late";
    corruptionCount += await readLogSegment(
      file,
      (record) => (isLate ? replay.lateRecord(record) : replay.record(record)),
      {
        quarantine: join(options.folder, "quarantine"),
        nowMs: options.nowMs,
        logger,
        isReadOnly,
        onRead: (offset) => progress(i, offset),
      },
    );
    before += sizes[i]!;
    await store.log.save({ all: false });
    if (file.kind === "segment") replay.result.segmentMaxTimes.set(file.index, replay.maxTimeMs);
    progress(i + 1, 0);
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

interface LogFile extends SegmentFile {
  isLast: boolean;
  readonly kind: "checkpoint" | "segment" | "late";
}

function markLast(files: readonly LogFile[]): void {
  const last = files.at(-1);
  if (last !== undefined) last.isLast = true;
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
  readonly #minLateTimeMs: number;
  readonly #columns = new SampleColumns();
  readonly #chains: ReadonlyMap<number, ChunkChain> | undefined;
  readonly #attached = new Set<number>();

  constructor(store: HeadStore, options: ReplayOptions) {
    this.#chains = options.chunks?.chains;
    this.#store = store;
    this.#reader = new HeadReader(store);
    this.#minTimeMs = options.minTimeMs;
    this.#minLateTimeMs = options.minLateTimeMs ?? -Infinity;
  }

  record(record: RecordBytes): void {
    const type = record.bytes[record.start];
    if (type === RECORD_SERIES) decodeSeries(record, (ref, flat) => this.#series(ref, flat));
    else if (isSamplesRecord(type!)) this.#samples(record);
    else if (isHistogramRecord(type!))
      decodeHistogramRecord(record, (sample) => this.#histogram(sample));
    else if (type === RECORD_EXEMPLARS) decodeExemplarRecord(record, (one) => this.#exemplar(one));
    else if (type === RECORD_METADATA) decodeMetadataRecord(record, (one) => this.#metadata(one));
    else if (type === RECORD_TOMBSTONES) decodeTombstoneRecord(record, (one) => this.#delete(one));
  }

  /** Of the log of samples out of order. */
  lateRecord(record: RecordBytes): void {
    const type = record.bytes[record.start];
    const { outOfOrder } = this.#store;
    if (isSamplesRecord(type!)) {
      const columns = this.#columns;
      decodeSamples(record, columns);
      const { times, words } = columns;
      for (let i = 0; i < columns.count; i++) {
        const ref = this.#lateRef(columns.refs[i]!, times[i]!);
        if (ref < 0) continue;
        outOfOrder.insert(ref, times[i]!, words[2 * i]!, words[2 * i + 1]!);
        this.sampleCount++;
      }
    } else if (isHistogramRecord(type!))
      decodeHistogramRecord(record, (sample) => {
        const ref = this.#lateRef(sample.ref, sample.timeMs);
        if (ref < 0) return;
        outOfOrder.insertHistogram(ref, sample);
        this.sampleCount++;
      });
  }

  /** The series of a sample out of order, or -1 when it is not to be kept. */
  #lateRef(logged: number, timeMs: number): number {
    if (timeMs < this.#minLateTimeMs) return -1;
    const ref = this.result.aliases.get(logged) ?? logged;
    if (ref <= REF_MAX && this.#store.series.has(ref)) return ref;
    this.#count(UNKNOWN_REF, ref);
    return -1;
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
    const chain = this.#chains?.get(ref);
    if (chain !== undefined && this.#attached.has(ref) === false) {
      this.#attached.add(ref);
      this.#store.attachChunks(series.ref, chain);
    }
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
      this.#store.exemplars.add(this.#reader.labels(known), exemplar, "logged");
  }

  #metadata({ ref, metadata }: LoggedMetadata): void {
    const known = this.result.aliases.get(ref) ?? ref;
    if (this.#store.series.has(known)) this.#store.metadata.set(known, metadata);
  }

  #delete({ ref, minTime, maxTime }: LoggedTombstone): void {
    const known = this.result.aliases.get(ref) ?? ref;
    // Of a series that is not here there is nothing to delete.
    if (this.#store.series.has(known)) this.#store.deleted.add(known, { minTime, maxTime });
    else if (ref < REF_MAX) this.#store.series.skipRefs(ref);
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
