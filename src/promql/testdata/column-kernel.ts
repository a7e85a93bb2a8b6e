import type { Kernel } from "../../base/testdata/compile-kernel.ts";

export const COLUMN_KERNEL: Kernel = {
  name: "column-kernel",
  folder: new URL("../functions/", import.meta.url),
  // Any that the sample memory may come to have.
  memory: { initial: 1, maximum: 1024 },
  importsMemory: true,
};
