import type { Kernel } from "../../base/testdata/compile-kernel.ts";

/** 96 MiB, of which the system gives what is touched: regex-memory.as says what lies where. */
export const REGEX_MACHINE: Kernel = {
  name: "regex-machine",
  imports: [
    "regex-clusters",
    "regex-counters",
    "regex-folds",
    "regex-memory",
    "regex-sets",
    "regex-syntax",
    "regex-tree",
  ],
  folder: new URL("../", import.meta.url),
  memory: { initial: 1536, maximum: 1536 },
};
