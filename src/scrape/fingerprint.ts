import { Secret } from "../config/secret.ts";

/** Text that is equal for configurations that mean the same, secrets included: for comparing, never for showing. */
export function configFingerprint(config: object): string {
  return JSON.stringify(config, function (this: Record<string, unknown>, key, value: unknown) {
    // JSON.stringify asks toJSON first, which hides a secret: look at the original.
    const original = this[key];
    return original instanceof Secret ? original.reveal() : value;
  });
}
