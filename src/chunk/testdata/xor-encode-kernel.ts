import type { Kernel } from "../../base/testdata/compile-kernel.ts";

export const XOR_ENCODE_KERNEL: Kernel = {
  name: "xor-encode-kernel",
  folder: new URL("../", import.meta.url),
  // Any that the sample memory may come to have.
  memory: { initial: 1, maximum: 1024 },
  importsMemory: true,
};
