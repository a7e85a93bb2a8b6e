import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Prometheus's own conformance data, read in place beside the checkout; it is not part of a clone. */
const folder =
  process.env["SHOAL_CONFORMANCE_DATA"] ??
  join(dirname(fileURLToPath(import.meta.url)), "..", "..", "shared");

/** The path of `name` in the conformance data, or undefined where it is absent. */
export function sharedPath(name: string): string | undefined {
  const path = join(folder, name);
  return existsSync(path) ? path : undefined;
}

/** For node:test's `skip` option: false when the data is there, else the line that says why the test is skipped. */
export function skipWithout(name: string): false | string {
  if (sharedPath(name) !== undefined) return false;
  if (process.env["CI"] === "true")
    throw new Error(`the conformance data ${join(folder, name)} is missing, and CI skips nothing`);
  return `skipped: no conformance data at ${join(folder, name)}`;
}
