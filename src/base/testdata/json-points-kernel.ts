import type { Kernel } from "./compile-kernel.ts";

/** 2 MiB: JsonWriter knows what lies where. */
export const JSON_POINTS: Kernel = {
  name: "json-points",
  folder: new URL("../", import.meta.url),
  memory: { initial: 32, maximum: 32 },
};
