import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** 96 MiB, of which the system gives what is touched: regex-kernel.ts knows what lies where. */
export const REGEX_STEP: Kernel = {
  name: "regex-step",
  folder: new URL("../", import.meta.url),
  memory: { initial: 1536, maximum: 1536 },
};
