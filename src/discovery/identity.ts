import { createHash } from "node:crypto";
import { Secret } from "../config/secret.ts";

/** Equal for equal configurations, secrets included, which do not show in it. */
export function identity(config: unknown): string {
  return JSON.stringify(config, function (this: unknown, key: string, value: unknown) {
    const original: unknown =
      typeof this === "object" && this !== null ? Reflect.get(this, key) : undefined;
    return original instanceof Secret
      ? createHash("sha256").update(original.reveal()).digest("base64")
      : value;
  });
}
