import { crc32 } from "node:zlib";
import { GZIP_MATCHES_WASM } from "./gzip-matches.gen.ts";
import { compileModule, instantiate } from "./web-assembly.ts";

/**
 * gzip (RFC 1952) for JSON. zlib at its fastest took 45 % of the CPU of a large answer; gzip-matches.as takes a third of that for
 * fewer bytes, because it knows what an answer looks like. Every piece is compressed for itself, at once and on this thread;
 * in pieces of half a megabyte hardly anything is lost by that.
 *
 *     0        64 Ki                256 Ki    416 Ki             1056 Ki        2 Mi
 *     │ module │ matches of a block │ tables  │ piece in         │ blocks out ──►│
 */
const MATCHES_AT = 64 * 1024;
const TABLES_AT = 256 * 1024;
const IN_AT = 416 * 1024;
/** More is compressed in parts. What cannot be compressed grows by less than a hundredth; there is half as much room again. */
const PIECE_MAX_BYTES = 640 * 1024;
/** Bytes after the piece are written to. */
const OUT_AT = IN_AT + PIECE_MAX_BYTES + 16;

/** deflate, without a name, a time or anything else that may stand here. */
const HEAD = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);

interface GzipModule {
  readonly memory: { readonly buffer: ArrayBuffer };
  initialize(matches: number): void;
  compress(from: number, end: number, tables: number, out: number): number;
}

/** One for all: nothing is kept from one piece to the next. */
let shared: { readonly module: GzipModule; readonly bytes: Buffer } | undefined;

function kernel(): NonNullable<typeof shared> {
  if (shared !== undefined) return shared;
  const module = instantiate(compileModule(GZIP_MATCHES_WASM)) as GzipModule;
  module.initialize(MATCHES_AT);
  return (shared = { module, bytes: Buffer.from(module.memory.buffer) });
}

/**
 * Compresses `pieces`, the best of which have half a megabyte, as one stream; what comes out is the caller's to keep. A piece
 * is not looked at any more once something has come out.
 */
export function* gzip(pieces: Iterable<Uint8Array>): Generator<Buffer> {
  let checksum = 0;
  let size = 0;
  yield HEAD;
  for (const piece of pieces) {
    checksum = crc32(piece, checksum);
    size += piece.length;
    const partCount = Math.ceil(piece.length / PIECE_MAX_BYTES);
    const partSize = Math.ceil(piece.length / partCount);
    const parts: Buffer[] = [];
    for (let from = 0; from < piece.length; from += partSize)
      parts.push(compress(piece.subarray(from, from + partSize)));
    if (parts.length > 0) yield parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }
  // The last block, without content.
  const tail = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
  tail.writeUInt32LE(checksum, 2);
  tail.writeUInt32LE(size % 2 ** 32, 6);
  yield tail;
}

function compress(piece: Uint8Array): Buffer {
  const { module, bytes } = kernel();
  bytes.set(piece, IN_AT);
  const end = module.compress(IN_AT, IN_AT + piece.length, TABLES_AT, OUT_AT);
  return Buffer.from(bytes.subarray(OUT_AT, end));
}
