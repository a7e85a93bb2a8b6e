import { MAX_INT64, MIN_INT64, ProtoReader, ProtoWriter, WIRE_BYTES } from "./wire.ts";

/** Label sets as name, value pairs in the order of the wire. */
export type LabelSetMessage = readonly (readonly [name: string, value: string])[];

/** `thanos.info.StoreInfo`: present when the endpoint serves StoreAPI. */
export interface StoreInfoMessage {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly supportsSharding: boolean;
  readonly supportsWithoutReplicaLabels: boolean;
  readonly tsdbInfos: readonly {
    readonly labels: LabelSetMessage;
    readonly minTimeMs: number;
    readonly maxTimeMs: number;
  }[];
}

/** `thanos.info.InfoResponse` (docs/format/storeapi.md). Other APIs are known by being there or not. */
export interface InfoMessage {
  readonly labelSets: readonly LabelSetMessage[];
  /** `sidecar`, `store`, `query`, `receive`, `rule` in Thanos. */
  readonly componentType: string;
  readonly store: StoreInfoMessage | undefined;
  readonly rules: boolean;
  readonly metricMetadata: boolean;
  readonly targets: boolean;
  readonly query: boolean;
  readonly exemplars: boolean;
  /** Shoal's own: which version's `shoal.Aggregate` is served; "" is none. */
  readonly aggregates: string;
}

/** Of `aggregates`, far from what Thanos may number next; others pass over it. */
const AGGREGATES_FIELD = 1000;

export const EMPTY_INFO: InfoMessage = {
  labelSets: [],
  componentType: "",
  store: undefined,
  rules: false,
  metricMetadata: false,
  targets: false,
  query: false,
  exemplars: false,
  aggregates: "",
};

export function encodeInfoResponse(info: InfoMessage): Uint8Array {
  const writer = new ProtoWriter();
  const mark = (field: number, present: boolean): void => {
    if (present) writer.message(field, writer.size);
  };
  if (info.aggregates !== "") writer.string(AGGREGATES_FIELD, info.aggregates);
  mark(8, info.query);
  if (info.exemplars) writeExemplarsInfo(writer);
  mark(6, info.targets);
  mark(5, info.metricMetadata);
  mark(4, info.rules);
  if (info.store !== undefined) writeStore(writer, info.store);
  if (info.componentType !== "") writer.string(2, info.componentType);
  for (let i = info.labelSets.length - 1; i >= 0; i--) writeLabelSet(writer, 1, info.labelSets[i]!);
  return writer.finish();
}

export function decodeInfoResponse(bytes: Uint8Array): InfoMessage {
  const info = { ...EMPTY_INFO, labelSets: [] as LabelSetMessage[] };
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    switch (key) {
      case 0x0a:
        info.labelSets.push(readLabelSet(reader.nested()));
        continue;
      case 0x12:
        info.componentType = reader.string();
        continue;
      case 0x1a:
        info.store = readStore(reader.nested());
        continue;
      case (AGGREGATES_FIELD << 3) | WIRE_BYTES:
        info.aggregates = reader.string();
        continue;
      case 0x22:
        info.rules = true;
        break;
      case 0x2a:
        info.metricMetadata = true;
        break;
      case 0x32:
        info.targets = true;
        break;
      case 0x3a:
        info.exemplars = true;
        break;
      case 0x42:
        info.query = true;
        break;
    }
    reader.skip(key);
  }
  return info;
}

/** They may be of any time. */
function writeExemplarsInfo(writer: ProtoWriter): void {
  const before = writer.size;
  writer.int64(2, MAX_INT64);
  writer.int64(1, MIN_INT64);
  writer.message(7, before);
}

function writeStore(writer: ProtoWriter, store: StoreInfoMessage): void {
  const before = writer.size;
  for (let i = store.tsdbInfos.length - 1; i >= 0; i--) {
    const { labels, minTimeMs, maxTimeMs } = store.tsdbInfos[i]!;
    const beforeTsdb = writer.size;
    writer.int64(3, maxTimeMs);
    writer.int64(2, minTimeMs);
    writeLabelSet(writer, 1, labels);
    writer.message(6, beforeTsdb);
  }
  writer.bool(5, store.supportsWithoutReplicaLabels);
  writer.bool(3, store.supportsSharding);
  writer.int64(2, store.maxTimeMs);
  writer.int64(1, store.minTimeMs);
  writer.message(3, before);
}

function readStore(reader: ProtoReader): StoreInfoMessage {
  const store = {
    minTimeMs: 0,
    maxTimeMs: 0,
    supportsSharding: false,
    supportsWithoutReplicaLabels: false,
    tsdbInfos: [] as { labels: LabelSetMessage; minTimeMs: number; maxTimeMs: number }[],
  };
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) store.minTimeMs = reader.int64();
    else if (key === 0x10) store.maxTimeMs = reader.int64();
    else if (key === 0x18) store.supportsSharding = reader.bool();
    else if (key === 0x28) store.supportsWithoutReplicaLabels = reader.bool();
    else if (key === 0x32) store.tsdbInfos.push(readTsdb(reader.nested()));
    else reader.skip(key);
  }
  return store;
}

function readTsdb(reader: ProtoReader): StoreInfoMessage["tsdbInfos"][number] {
  const tsdb = { labels: [] as LabelSetMessage, minTimeMs: 0, maxTimeMs: 0 };
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) tsdb.labels = readLabelSet(reader.nested());
    else if (key === 0x10) tsdb.minTimeMs = reader.int64();
    else if (key === 0x18) tsdb.maxTimeMs = reader.int64();
    else reader.skip(key);
  }
  return tsdb;
}

export function writeLabelSet(writer: ProtoWriter, field: number, labels: LabelSetMessage): void {
  const before = writer.size;
  for (let i = labels.length - 1; i >= 0; i--) {
    const [name, value] = labels[i]!;
    const beforeLabel = writer.size;
    writer.string(2, value);
    writer.string(1, name);
    writer.message(1, beforeLabel);
  }
  writer.message(field, before);
}

export function readLabelSet(reader: ProtoReader): LabelSetMessage {
  const labels: [string, string][] = [];
  while (reader.more) {
    const key = reader.key();
    if (key !== 0x0a) {
      reader.skip(key);
      continue;
    }
    const label = reader.nested();
    let name = "";
    let value = "";
    while (label.more) {
      const inner = label.key();
      if (inner === 0x0a) name = label.string();
      else if (inner === 0x12) value = label.string();
      else label.skip(inner);
    }
    labels.push([name, value]);
  }
  return labels;
}
