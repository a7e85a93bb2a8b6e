import { join } from "node:path";
import type { ProcessCommand } from "../base/supervised-process.ts";

/** This same program on this same Node, with nothing but what the command line says. */
export function childCommand(
  name: string,
  args: readonly string[],
  nodeFlags: readonly string[] = [],
): ProcessCommand {
  const environment: NodeJS.ProcessEnv = {};
  for (const [key, value] of Object.entries(process.env))
    if (!key.startsWith("SHOAL_")) environment[key] = value;
  // With it from the start, a child does not even load what turns TypeScript into JavaScript.
  environment["NODE_COMPILE_CACHE"] ??= join(
    import.meta.dirname,
    "../../node_modules/.cache/shoal",
  );
  return {
    name,
    command: process.execPath,
    args: [...process.execArgv, ...nodeFlags, process.argv[1]!, ...args],
    environment,
  };
}
