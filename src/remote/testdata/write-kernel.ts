import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** Up to 1 GiB, as write-kernel.ts has it. */
export const WRITE_KERNEL: Kernel = {
  name: "write-kernel",
  imports: ["write-kernel-hash", "write-kernel-snappy", "write-kernel-wire"],
  folder: new URL("../", import.meta.url),
  memory: { initial: 1, maximum: 16_384 },
};
