import { constants, gunzipSync, gzipSync, zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { compressSnappyFramed, decompressSnappyFramed } from "../base/snappy.ts";

/** Message compressions by their name in `grpc-encoding`. `snappy` is the framing format, as Thanos has it. */
export type Compression = "gzip" | "snappy" | "zstd";

export interface Codec {
  readonly name: Compression;
  compress(message: Uint8Array): Uint8Array;
  /** Throws `corrupt`, or `resource-exhausted` when more than `maxBytes` would come out. */
  decompress(message: Uint8Array, maxBytes: number): Uint8Array;
}

const CODECS: Readonly<Record<Compression, Codec>> = {
  gzip: {
    name: "gzip",
    compress: (message) => gzipSync(message, { level: constants.Z_BEST_SPEED }),
    decompress: (message, maxBytes) =>
      inflate("gzip", maxBytes, () => gunzipSync(message, { maxOutputLength: maxBytes })),
  },
  snappy: {
    name: "snappy",
    compress: compressSnappyFramed,
    decompress: decompressSnappyFramed,
  },
  zstd: {
    name: "zstd",
    compress: (message) => zstdCompressSync(message),
    decompress: (message, maxBytes) =>
      inflate("zstd", maxBytes, () => zstdDecompressSync(message, { maxOutputLength: maxBytes })),
  },
};

/** The value of `grpc-accept-encoding`. */
export const ACCEPTED_ENCODINGS = "identity,gzip,snappy,zstd";

/** The codec of a `grpc-encoding` name; undefined for one that is not spoken here. */
export function codecOf(name: string): Codec | undefined {
  return name === "gzip" || name === "snappy" || name === "zstd" ? CODECS[name] : undefined;
}

function inflate(name: string, maxBytes: number, run: () => Uint8Array): Uint8Array {
  try {
    return run();
  } catch (error) {
    if (systemCode(error) === "ERR_BUFFER_TOO_LARGE")
      throw new AppError(
        "resource-exhausted",
        `cannot decompress ${name} message: it exceeds the limit of ${maxBytes} bytes`,
        { cause: error },
      );
    throw new AppError("corrupt", `cannot decompress ${name} message: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
