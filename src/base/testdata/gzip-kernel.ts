import type { Kernel } from "./compile-kernel.ts";

/** 2 MiB: gzip.ts knows what lies where. */
export const GZIP_MATCHES: Kernel = {
  name: "gzip-matches",
  imports: ["gzip-codes"],
  folder: new URL("../", import.meta.url),
  memory: { initial: 32, maximum: 32 },
};
