import type { Kernel } from "./compile-kernel.ts";

/** Two pages: the tables, and the bytes a checksum is taken of. */
export const CRC32C: Kernel = {
  name: "crc32c",
  folder: new URL("../", import.meta.url),
  memory: { initial: 2, maximum: 2 },
};
