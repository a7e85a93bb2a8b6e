import { decodeConfig } from "./load.ts";
import { root } from "./root.ts";
import type { Config } from "./types.ts";
import { writeYaml } from "./yaml-writer.ts";

/**
 * The configuration as `/api/v1/status/config` shows it: YAML with defaults filled in and secrets as `<secret>`. Jobs
 * of `scrape_config_files` are not in it, as in Prometheus. It is read anew from `config.source`, so call it once a load.
 */
export function printConfig(config: Config): string {
  const { values } = decodeConfig(config.shownSource ?? config.source, {
    path: "config",
    baseFolder: config.baseFolder,
  });
  const printed = root.print(values);
  return printed instanceof Map ? writeYaml(printed) : "";
}

/** The `global` section alone, as text of a configuration. It has no secrets. */
export function printGlobal(config: Config): string {
  const { values } = decodeConfig(config.source, { path: "config", baseFolder: config.baseFolder });
  return writeYaml(new Map([["global", root.fields.global.kind.print(values.global)]]));
}
