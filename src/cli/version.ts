import type { Command } from "commander";
import { COMPATIBLE_PROMETHEUS_VERSION, VERSION } from "../base/version.ts";

/** `shoal version`: what this is and what it runs on. */
export function registerVersion(program: Command): void {
  program
    .command("version")
    .description("Print the version.")
    .option("--json", "as JSON", false)
    .action((options: { json: boolean }) => {
      const facts = {
        version: VERSION,
        compatiblePrometheus: COMPATIBLE_PROMETHEUS_VERSION,
        node: process.versions.node,
        platform: `${process.platform}/${process.arch}`,
      };
      process.stdout.write(
        options.json
          ? `${JSON.stringify(facts)}\n`
          : `shoal, version ${facts.version}\n  speaks:   Prometheus ${facts.compatiblePrometheus}\n  node:     ${facts.node}\n  platform: ${facts.platform}\n`,
      );
    });
}
