import type { Kernel } from "../../base/testdata/compile-kernel.ts";

export const RATE_KERNEL: Kernel = {
  name: "rate-kernel",
  folder: new URL("../functions/", import.meta.url),
  // Any that the sample memory may come to have.
  memory: { initial: 1, maximum: 1024 },
  importsMemory: true,
};
