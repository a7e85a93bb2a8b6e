import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** 384 KiB: newest-walk.ts knows what lies where. */
export const NEWEST_WALK: Kernel = {
  name: "newest-walk",
  imports: ["../base/crc32c", "../chunk/xor-kernel"],
  folder: new URL("../", import.meta.url),
  memory: { initial: 6, maximum: 6 },
};
