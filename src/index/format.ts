/** Constants of the block index. Format: docs/format/index.md. */
export const INDEX_MAGIC = 0xbaaad700;
export const INDEX_VERSION = 2;
/** Magic and version. */
export const INDEX_HEADER_BYTES = 5;
/** Six offsets and a checksum. */
export const TOC_BYTES = 52;
/** Series start at multiples of this, and postings hold their offset divided by it; version 1 did neither. */
export const SERIES_ALIGN = 16;

/** Where the sections of an index start. */
export interface IndexToc {
  readonly symbols: number;
  readonly series: number;
  readonly labelIndices: number;
  readonly labelIndicesTable: number;
  readonly postings: number;
  readonly postingsTable: number;
}
