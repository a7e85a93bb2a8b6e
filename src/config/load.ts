import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { AppError } from "../base/errors.ts";
import { checkAlertmanagerTargets, checkJobTargets } from "./built-targets.ts";
import { ConfigError } from "./config-error.ts";
import { decodeText, unreadable } from "./config-text.ts";
import { expandFiles } from "./glob.ts";
import { toGlobal, type GlobalValues } from "./global.ts";
import { decode } from "./kind.ts";
import { Reader } from "./reader.ts";
import { toRelabelConfigs } from "./relabel.ts";
import { toOtlp, toStorage } from "./server.ts";
import { fillRoot, fillScrapeConfigs, root, scrapeConfigFile, type RootValues } from "./root.ts";
import { toRemoteRead, toRemoteWrite } from "./remote.ts";
import { toScrapeConfig, type ScrapeValues } from "./scrape.ts";
import type { Config } from "./types.ts";
import { parseYamlSource, type YamlLimits } from "./yaml-source.ts";

export interface ParseOptions {
  /** How messages call the file. */
  readonly path: string;
  /** Absolute folder that relative paths start from. */
  readonly baseFolder: string;
  /** Checks static targets as they come out of relabelling, which loading leaves to the scrape. Default false. */
  readonly checksTargets?: boolean;
  readonly limits?: YamlLimits;
  /** For `external_labels`. Default: the process's. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Reads prometheus.yml. Throws ConfigError for bad content and AppError when the file cannot be read. */
export async function loadConfig(
  path: string,
  options: Partial<Omit<ParseOptions, "path" | "baseFolder">> = {},
): Promise<Config> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
  return parseConfig(decodeText(bytes, path), {
    ...options,
    path,
    baseFolder: dirname(resolve(path)),
  });
}

/** Parses the text of a prometheus.yml, with the scrape config files it names. Throws ConfigError. */
export function parseConfig(text: string, options: ParseOptions): Config {
  const { values, reader } = decodeConfig(text, options);
  const jobs = [...values.scrape_configs, ...readScrapeConfigFiles(values, reader, options)];
  reader.throwIfAny();
  return {
    global: toGlobal(values.global),
    ruleFiles: values.rule_files,
    scrapeConfigs: jobs.map(toScrapeConfig),
    alerting: { alertRelabelConfigs: toRelabelConfigs(values.alerting.alert_relabel_configs) },
    storage: toStorage(values.storage),
    remoteWrites: values.remote_write.map(toRemoteWrite),
    remoteReads: values.remote_read.map(toRemoteRead),
    otlp: toOtlp(values.otlp),
    source: text,
    baseFolder: options.baseFolder,
  };
}

/** The main file's keys and values, defaults filled in. Throws ConfigError. */
export function decodeConfig(
  text: string,
  options: ParseOptions,
): { readonly values: RootValues; readonly reader: Reader } {
  const source = parseYamlSource(text, options.path, options.limits);
  const reader = new Reader(source, options.baseFolder);
  const written = source.root === undefined ? root.defaults : decode(root, source.root, reader);
  reader.throwIfAny();
  const values = fillRoot(written, reader, options.environment ?? process.env);
  if (options.checksTargets === true) {
    checkJobTargets(values.scrape_configs, reader);
    checkAlertmanagerTargets(values, reader);
  }
  reader.throwIfAny();
  return { values, reader };
}

function readScrapeConfigFiles(
  values: RootValues,
  reader: Reader,
  options: ParseOptions,
): ScrapeValues[] {
  const jobs = new Map(values.scrape_configs.map((job) => [job.job_name, options.path]));
  const found: ScrapeValues[] = [];
  for (const [index, pattern] of values.scrape_config_files.entries())
    try {
      for (const path of expandFiles(pattern))
        found.push(...readScrapeConfigFile(path, values.global, jobs, options));
    } catch (error) {
      if (error instanceof ConfigError || !(error instanceof AppError)) throw error;
      reader.where(values).fail("scrape_config_files", error.message, { index });
    }
  return found;
}

function readScrapeConfigFile(
  path: string,
  global: GlobalValues,
  jobs: Map<string, string>,
  options: ParseOptions,
): ScrapeValues[] {
  const source = parseYamlSource(readText(path), path, options.limits);
  if (source.root === undefined) return [];
  const reader = new Reader(source, dirname(path));
  const { scrape_configs: written } = decode(scrapeConfigFile, source.root, reader);
  reader.throwIfAny();
  const filled = fillScrapeConfigs(written, global, { reader, jobs, file: path });
  if (options.checksTargets === true) checkJobTargets(filled, reader);
  reader.throwIfAny();
  return filled;
}

function readText(path: string): string {
  try {
    return decodeText(readFileSync(path), path);
  } catch (error) {
    throw error instanceof ConfigError ? error : unreadable(path, error);
  }
}
