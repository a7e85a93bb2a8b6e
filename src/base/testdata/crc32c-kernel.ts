import type { Kernel } from "./compile-kernel.ts";

/** Three pages: the tables and places, the bytes a checksum is taken of, and what a read of sixteen bytes finds behind them. */
export const CRC32C: Kernel = {
  name: "crc32c",
  folder: new URL("../", import.meta.url),
  memory: { initial: 3, maximum: 3 },
};
