import { type ByteSource, readGroups } from "./byte-source.ts";

/** So much is kept for the next reads. */
const SPARE_MAX_BYTES = 4 * 1024 * 1024;
/** Sizes are multiples of this, so that one serves many reads. */
const ROOM_STEP_BYTES = 256 * 1024;

/** What nobody reads into at the moment, the oldest first. */
const spare: Uint8Array<ArrayBuffer>[] = [];
let spareBytes = 0;

/**
 * Bytes of a file that are looked at and forgotten: nothing of them may be held when `use` is done. They are read into memory
 * that the process has, which is three times as fast as into fresh pages and gives the garbage collector nothing to do.
 */
export function withRead<T>(
  source: ByteSource,
  range: { readonly start: number; readonly end: number },
  use: (bytes: Uint8Array) => T | Promise<T>,
): Promise<T> {
  const size = range.end - range.start;
  return withRoom(size, async (room) => {
    const bytes = room.subarray(0, size);
    await source.readInto(bytes, range.start);
    return use(bytes);
  });
}

/** As `withRead` with each of `windows`, in order. Small ones are read at the same time. */
export async function forEachRead<T extends { readonly start: number; readonly end: number }>(
  source: ByteSource,
  windows: Iterable<T>,
  use: (bytes: Uint8Array, window: T) => void | Promise<void>,
): Promise<void> {
  for (const group of readGroups(windows))
    await withRoom(group.size, async (room) => {
      let at = 0;
      const pieces = group.windows.map(({ start, end }) => room.subarray(at, (at += end - start)));
      await Promise.all(group.windows.map(({ start }, i) => source.readInto(pieces[i]!, start)));
      for (const [i, window] of group.windows.entries()) await use(pieces[i]!, window);
    });
}

/** Such memory of at least `size` bytes, with whatever is in it, for as long as `use` takes. */
export async function withRoom<T>(
  size: number,
  use: (room: Uint8Array<ArrayBuffer>) => T | Promise<T>,
): Promise<T> {
  const room = take(size);
  const result = await use(room);
  give(room);
  return result;
}

function take(size: number): Uint8Array<ArrayBuffer> {
  const place = spare.findIndex(({ length }) => length >= size);
  if (place < 0) return new Uint8Array(Math.ceil(size / ROOM_STEP_BYTES) * ROOM_STEP_BYTES);
  const [room] = spare.splice(place, 1);
  spareBytes -= room!.length;
  return room!;
}

function give(room: Uint8Array<ArrayBuffer>): void {
  if (room.length > SPARE_MAX_BYTES) return;
  spare.push(room);
  spareBytes += room.length;
  while (spareBytes > SPARE_MAX_BYTES) spareBytes -= spare.shift()!.length;
}
