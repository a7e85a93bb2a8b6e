import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** 256 KiB: entry-walk.ts knows what lies where. */
export const ENTRY_WALK: Kernel = {
  name: "entry-walk",
  folder: new URL("../", import.meta.url),
  memory: { initial: 4, maximum: 4 },
};
