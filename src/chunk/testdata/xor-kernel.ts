import type { Kernel } from "../../base/testdata/compile-kernel.ts";
import { SAMPLE_MEMORY_PAGES } from "../sample-memory.ts";

export const XOR_KERNEL: Kernel = {
  name: "xor-kernel",
  folder: new URL("../", import.meta.url),
  memory: { initial: SAMPLE_MEMORY_PAGES, maximum: SAMPLE_MEMORY_PAGES },
  importsMemory: true,
};
