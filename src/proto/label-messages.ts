import {
  readMatcher,
  writeMatchers,
  writeStrings,
  type LabelMatcherMessage,
} from "./series-request.ts";
import { ProtoReader, ProtoWriter } from "./wire.ts";

/** `thanos.LabelNamesRequest` and, with `label`, `thanos.LabelValuesRequest` (docs/format/storeapi.md). */
export interface LabelRequestMessage {
  readonly partialResponseDisabled: boolean;
  readonly partialResponseStrategy: number;
  readonly startMs: number;
  readonly endMs: number;
  readonly hints: Uint8Array | undefined;
  readonly matchers: readonly LabelMatcherMessage[];
  readonly withoutReplicaLabels: readonly string[];
  readonly limit: number;
}

export interface LabelValuesRequestMessage extends LabelRequestMessage {
  readonly label: string;
}

export interface LabelResponseMessage {
  /** Names or values. */
  readonly values: readonly string[];
  readonly warnings: readonly string[];
}

export const EMPTY_LABEL_REQUEST: LabelRequestMessage = {
  partialResponseDisabled: false,
  partialResponseStrategy: 0,
  startMs: 0,
  endMs: 0,
  hints: undefined,
  matchers: [],
  withoutReplicaLabels: [],
  limit: 0,
};

// The two requests have the same fields; in LabelValuesRequest each comes one number later, after the label.

export function encodeLabelNamesRequest(request: LabelRequestMessage): Uint8Array {
  const writer = new ProtoWriter();
  writeRequest(writer, request, 0);
  return writer.finish();
}

export function encodeLabelValuesRequest(request: LabelValuesRequestMessage): Uint8Array {
  const writer = new ProtoWriter();
  writeRequest(writer, request, 1);
  if (request.label !== "") writer.string(1, request.label);
  return writer.finish();
}

export function decodeLabelNamesRequest(bytes: Uint8Array): LabelRequestMessage {
  const { label: _, ...request } = readRequest(bytes, 0);
  return request;
}

export function decodeLabelValuesRequest(bytes: Uint8Array): LabelValuesRequestMessage {
  return readRequest(bytes, 1);
}

export function encodeLabelResponse(response: LabelResponseMessage): Uint8Array {
  const writer = new ProtoWriter();
  writeStrings(writer, 2, response.warnings);
  writeStrings(writer, 1, response.values);
  return writer.finish();
}

export function decodeLabelResponse(bytes: Uint8Array): LabelResponseMessage {
  const values: string[] = [];
  const warnings: string[] = [];
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) values.push(reader.string());
    else if (key === 0x12) warnings.push(reader.string());
    else reader.skip(key);
  }
  return { values, warnings };
}

function writeRequest(writer: ProtoWriter, request: LabelRequestMessage, shift: 0 | 1): void {
  writer.int64(8 + shift, request.limit);
  writeStrings(writer, 7 + shift, request.withoutReplicaLabels);
  writeMatchers(writer, 6 + shift, request.matchers);
  if (request.hints !== undefined) writer.bytes(5 + shift, request.hints);
  writer.int64(4 + shift, request.endMs);
  writer.int64(3 + shift, request.startMs);
  writer.uint32(2 + shift, request.partialResponseStrategy);
  writer.bool(1 + shift, request.partialResponseDisabled);
}

function readRequest(bytes: Uint8Array, shift: 0 | 1): LabelValuesRequestMessage {
  const request = {
    ...EMPTY_LABEL_REQUEST,
    label: "",
    matchers: [] as LabelMatcherMessage[],
    withoutReplicaLabels: [] as string[],
  };
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    if (shift === 1 && key === 0x0a) {
      request.label = reader.string();
      continue;
    }
    switch (key - 8 * shift) {
      case 0x08:
        request.partialResponseDisabled = reader.bool();
        break;
      case 0x10:
        request.partialResponseStrategy = reader.uint32();
        break;
      case 0x18:
        request.startMs = reader.int64();
        break;
      case 0x20:
        request.endMs = reader.int64();
        break;
      case 0x2a:
        request.hints = reader.view();
        break;
      case 0x32:
        request.matchers.push(readMatcher(reader.nested()));
        break;
      case 0x3a:
        request.withoutReplicaLabels.push(reader.string());
        break;
      case 0x40:
        request.limit = reader.int64();
        break;
      default:
        reader.skip(key);
    }
  }
  return request;
}
