import type { ProtoReader } from "./wire.ts";

/** A label pair: its name and its value in fields 1 and 2, in every message of the family. */
export function readPair(reader: ProtoReader): [name: string, value: string] {
  let name = "";
  let value = "";
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) name = reader.string();
    else if (key === 0x12) value = reader.string();
    else reader.skip(key);
  }
  return [name, value];
}

/** Appends a native histogram's span to `into`: its offset and its length. */
export function readSpan(reader: ProtoReader, into: number[]): void {
  let offset = 0;
  let length = 0;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) offset = reader.sint64();
    else if (key === 0x10) length = reader.uint32();
    else reader.skip(key);
  }
  into.push(offset, length);
}
