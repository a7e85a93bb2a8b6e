import type { Command } from "commander";
import { messageOf } from "../base/errors.ts";
import { loadConfig } from "../config/load.ts";
import { checkReferencedFiles } from "../config/referenced-files.ts";

/** Where the check writes; the process's own streams unless a test gives others. */
export interface CheckOutput {
  readonly out: (line: string) => void;
  readonly err: (line: string) => void;
}

/** Adds `check config [--syntax-only] FILE…`, with promtool's output: verdicts on stdout, errors on stderr, exit 1. */
export function registerCheck(program: Command): void {
  const check =
    program.commands.find((command) => command.name() === "check") ??
    program.command("check").description("check files before they are used");
  check
    .command("config")
    .description("check Prometheus configuration files")
    .argument("<files...>", "prometheus.yml files")
    .option("--syntax-only", "do not look at the rule, target and credential files they name")
    .action(async (files: string[], options: { syntaxOnly?: boolean }) => {
      const passed = await checkConfigFiles(files, { syntaxOnly: options.syntaxOnly ?? false });
      if (!passed) process.exitCode = 1;
    });
}

/** Checks each file and tells about it; true when all are valid. */
export async function checkConfigFiles(
  files: readonly string[],
  options: { readonly syntaxOnly: boolean; readonly output?: CheckOutput },
): Promise<boolean> {
  const { out, err } = options.output ?? {
    out: (line) => console.log(line),
    err: (line) => console.error(line),
  };
  let passed = true;
  for (const file of files) {
    out(`Checking ${file}`);
    try {
      const config = await loadConfig(file, { checksTargets: true });
      const found = options.syntaxOnly ? undefined : await checkReferencedFiles(config);
      for (const warning of found?.warnings ?? []) out(`  WARNING: ${warning}`);
      const rules = found?.ruleFiles.length ?? 0;
      if (rules > 0) out(`  SUCCESS: ${rules} rule files found`);
      out(`  SUCCESS: ${file} is valid prometheus config file syntax`);
    } catch (error) {
      passed = false;
      err(`  FAILED: ${messageOf(error)}`);
    }
    out("");
  }
  return passed;
}
