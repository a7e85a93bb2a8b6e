import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** 1,088 KiB: series-walk.ts knows what lies where. */
export const SERIES_WALK: Kernel = {
  name: "series-walk",
  imports: ["../base/crc32c"],
  folder: new URL("../", import.meta.url),
  memory: { initial: 17, maximum: 17 },
};
