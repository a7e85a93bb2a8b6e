import type { ChunkEncoding } from "../storage/queryable.ts";
import { isWritable } from "../storage/chunk-encodings.ts";
import type { ChunkLog } from "./chunk-log.ts";
import { HeadChunkFiles, type HeadChunkFilesOptions } from "./head-chunk-files.ts";
import { REF_MAX } from "./series-table.ts";

/** The chunks of one series that files hold, from the oldest to the newest address. */
export interface ChunkChain {
  readonly first: number;
  last: number;
  readonly minTimeMs: number;
  maxTimeMs: number;
}

export interface HeadChunks {
  readonly files: HeadChunkFiles;
  /** By the series' ref in the log. */
  readonly chains: ReadonlyMap<number, ChunkChain>;
  /** No new series may get a ref up to this: chunks of another one have it. */
  readonly maxRef: number;
}

/**
 * Opens the files of head chunks and puts those that do not end before `minTimeMs` into `log`. Chunks that came out of
 * order are left out, since their log has them, and so are all of a series with a chunk of a kind that we cannot read: its
 * samples come from the write-ahead log.
 */
export async function openHeadChunks(
  log: ChunkLog,
  options: HeadChunkFilesOptions & { readonly minTimeMs: number },
): Promise<HeadChunks> {
  const chains = new Map<number, ChunkChain>();
  const unreadable = new Set<number>();
  let maxRef = 0;
  const files = await HeadChunkFiles.open(options, (chunk) => {
    const { ref, minTimeMs, maxTimeMs } = chunk;
    if (ref > maxRef && ref < REF_MAX) maxRef = ref;
    if (chunk.isOutOfOrder || maxTimeMs < options.minTimeMs || ref >= REF_MAX) return;
    const encoding = chunk.encoding as ChunkEncoding;
    const chain = chains.get(ref);
    const isInOrder = chain === undefined || minTimeMs > chain.maxTimeMs;
    if (!isWritable({ encoding }) || !isInOrder || maxTimeMs - minTimeMs >= 2 ** 32) {
      chains.delete(ref);
      unreadable.add(ref);
    }
    if (unreadable.has(ref)) return;
    const { sampleCount, size, place } = chunk;
    const entry = { ref, encoding, minTimeMs, maxTimeMs, sampleCount };
    const address = log.addStored({ ...entry, previous: chain?.last ?? 0 }, size, place);
    if (chain === undefined)
      chains.set(ref, { first: address, last: address, minTimeMs, maxTimeMs });
    else {
      chain.last = address;
      chain.maxTimeMs = maxTimeMs;
    }
  });
  return { files, chains, maxRef };
}
