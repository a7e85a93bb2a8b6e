/** Where a walk over records has its input in a kernel's memory. */
export interface PieceRoom {
  readonly bytesAt: number;
  readonly size: number;
  /** 32-bit words: where each record starts in the piece. */
  readonly startsAt: number;
  readonly countMax: number;
  /** Taken along behind where the last record starts; a longer one is left to the caller. */
  readonly tail: number;
}

/**
 * Puts a piece of `bytes` that begins with record `from` into a kernel's memory, and where the records start, of which no more
 * than up to `to`; how many start in the piece, and where in the memory it ends.
 */
export function placePiece(
  memory: { readonly bytes: Uint8Array; readonly words: Uint32Array },
  { bytes, starts }: { readonly bytes: Uint8Array; readonly starts: Float64Array },
  { from, to }: { readonly from: number; readonly to: number },
  room: PieceRoom,
): { count: number; end: number } {
  const pieceStart = starts[from]!;
  const last = Math.min(to, from + room.countMax);
  const words = room.startsAt / 4;
  let count = 0;
  for (; from + count < last && starts[from + count]! - pieceStart < room.size; count++)
    memory.words[words + count] = starts[from + count]! - pieceStart;
  const lastStart = starts[from + count - 1]!;
  const pieceEnd = Math.min(bytes.length, pieceStart + room.size, lastStart + room.tail);
  memory.bytes.set(bytes.subarray(pieceStart, pieceEnd), room.bytesAt);
  return { count, end: room.bytesAt + pieceEnd - pieceStart };
}
