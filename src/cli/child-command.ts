import { join } from "node:path";
import type { ProcessCommand } from "../base/supervised-process.ts";

/** The environment without Shoal's own variables: a child has nothing but what its command line says. */
export function withoutOwnVariables(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(environment).filter(([name]) => !name.startsWith("SHOAL_")),
  );
}

/** This same program on this same Node, with nothing but what the command line says. */
export function childCommand(
  name: string,
  args: readonly string[],
  nodeFlags: readonly string[] = [],
): ProcessCommand {
  const environment = withoutOwnVariables(process.env);
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
