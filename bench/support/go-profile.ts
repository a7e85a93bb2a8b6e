/**
 * Reads a Go program's CPU profile (pprof's gzipped protobuf) as far as needed to say how much CPU time was spent below
 * functions with a given name part: the way to time one stage inside a real peer without rebuilding it.
 */
import { gunzipSync } from "node:zlib";

interface Field {
  readonly number: number;
  readonly value: number;
  readonly bytes: Uint8Array;
}

/** Takes a CPU profile of `seconds` from a Go program's debug endpoint and returns the nanoseconds under matching functions. */
export async function cpuNanosUnder(
  url: string,
  options: { seconds: number; namePart: string },
): Promise<{ matching: number; total: number }> {
  const response = await fetch(`${url}/debug/pprof/profile?seconds=${options.seconds}`);
  if (!response.ok) throw new Error(`cannot profile ${url}: HTTP ${response.status}`);
  return sumProfile(new Uint8Array(await response.arrayBuffer()), options.namePart);
}

export function sumProfile(
  profile: Uint8Array,
  namePart: string,
): { matching: number; total: number } {
  const raw = profile[0] === 0x1f ? gunzipSync(profile) : profile;
  const strings: string[] = [];
  const functionNames = new Map<number, number>();
  const locationFunctions = new Map<number, number[]>();
  const samples: { locations: number[]; nanos: number }[] = [];
  for (const field of fields(raw)) {
    if (field.number === 6) strings.push(Buffer.from(field.bytes).toString("utf8"));
    else if (field.number === 5) {
      const parts = [...fields(field.bytes)];
      functionNames.set(valueOf(parts, 1), valueOf(parts, 2));
    } else if (field.number === 4) {
      const parts = [...fields(field.bytes)];
      locationFunctions.set(
        valueOf(parts, 1),
        parts
          .filter((part) => part.number === 4)
          .map((line) => valueOf([...fields(line.bytes)], 1)),
      );
    } else if (field.number === 2) {
      const parts = [...fields(field.bytes)];
      const values = numbersOf(parts, 2);
      samples.push({ locations: numbersOf(parts, 1), nanos: values.at(-1) ?? 0 });
    }
  }
  const wanted = new Set(
    [...functionNames]
      .filter(([, name]) => strings[name]?.includes(namePart) === true)
      .map(([id]) => id),
  );
  const locations = new Set(
    [...locationFunctions]
      .filter(([, functions]) => functions.some((id) => wanted.has(id)))
      .map(([id]) => id),
  );
  let matching = 0;
  let total = 0;
  for (const sample of samples) {
    total += sample.nanos;
    if (sample.locations.some((id) => locations.has(id))) matching += sample.nanos;
  }
  return { matching, total };
}

function* fields(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
  };
  const none = new Uint8Array(0);
  while (at < bytes.length) {
    const key = varint();
    const number = Math.floor(key / 8);
    if (key % 8 === 0) yield { number, value: varint(), bytes: none };
    else if (key % 8 === 2) {
      const length = varint();
      yield { number, value: 0, bytes: bytes.subarray(at, at + length) };
      at += length;
    } else throw new Error(`cannot read profile: wire type ${key % 8}`);
  }
}

function valueOf(parts: readonly Field[], number: number): number {
  return parts.find((part) => part.number === number)?.value ?? 0;
}

/** A repeated number, packed or not. */
function numbersOf(parts: readonly Field[], number: number): number[] {
  return parts
    .filter((part) => part.number === number)
    .flatMap((part) => (part.bytes.length === 0 ? [part.value] : packed(part.bytes)));
}

function packed(bytes: Uint8Array): number[] {
  const values: number[] = [];
  let at = 0;
  while (at < bytes.length) {
    let value = 0;
    let scale = 1;
    let byte: number;
    do {
      byte = bytes[at++]!;
      value += (byte & 0x7f) * scale;
      scale *= 128;
    } while (byte >= 0x80);
    values.push(value);
  }
  return values;
}
