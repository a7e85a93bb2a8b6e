import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** 768 KiB: value-scan.ts knows what lies where. */
export const VALUE_SCAN: Kernel = {
  name: "value-scan",
  folder: new URL("../", import.meta.url),
  memory: { initial: 12, maximum: 12 },
};
