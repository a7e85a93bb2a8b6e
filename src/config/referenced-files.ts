import { readFile, stat } from "node:fs/promises";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { targetGroups } from "./discovery.ts";
import { expandFiles } from "./glob.ts";
import { decode } from "./kind.ts";
import { Reader } from "./reader.ts";
import type { Config, ScrapeConfig } from "./types.ts";
import { parseYamlSource } from "./yaml-source.ts";

/** What `checkReferencedFiles` found beside errors. */
export interface ReferencedFiles {
  /** The rule files that exist, absolute. */
  readonly ruleFiles: readonly string[];
  readonly warnings: readonly string[];
}

/**
 * Looks at the files that `config` names: rule files and target files must be readable and well-formed, credentials and
 * certificates must exist. Throws AppError (ConfigError where there is a place to point at) for the first that is not.
 */
export async function checkReferencedFiles(config: Config): Promise<ReferencedFiles> {
  const ruleFiles: string[] = [];
  const warnings: string[] = [];
  for (const pattern of config.ruleFiles) {
    const found = expandFiles(pattern);
    if (found.length === 0 && !pattern.includes("*"))
      throw new AppError("bad-data", `${quote(pattern)} does not point to an existing file`);
    for (const path of found) {
      parseYamlSource(await readText(path), path);
      ruleFiles.push(path);
    }
  }
  for (const job of config.scrapeConfigs) {
    await checkCredentials(job);
    for (const one of job.serviceDiscovery)
      if (one.kind === "file")
        for (const pattern of one.files) {
          const found = expandFiles(pattern);
          if (found.length === 0)
            warnings.push(
              `file ${quote(pattern)} for file_sd in scrape job ${quote(job.jobName)} does not exist`,
            );
          for (const path of found) await checkTargetFile(path);
        }
  }
  return { ruleFiles, warnings };
}

async function checkCredentials(job: ScrapeConfig): Promise<void> {
  const { authorization, tls } = job.httpClient;
  for (const [what, path] of [
    ["authorization credentials or bearer token file", authorization?.credentialsFile],
    ["client cert file", tls.certFile],
    ["client key file", tls.keyFile],
  ])
    if (path !== undefined && path !== "") {
      try {
        await stat(path);
      } catch (error) {
        throw new AppError(
          "bad-data",
          `cannot use ${what} ${quote(path)} of scrape job ${quote(job.jobName)}: ${reasonOf(error)}`,
          { cause: error },
        );
      }
    }
}

async function checkTargetFile(path: string): Promise<void> {
  const text = await readText(path);
  // In JSON a tab is mere space between values, in YAML it is not; offsets stay.
  const source = parseYamlSource(/\.json$/i.test(path) ? text.replaceAll("\t", " ") : text, path);
  if (source.root === undefined) return;
  const reader = new Reader(source, "");
  decode(targetGroups, source.root, reader);
  reader.throwIfAny();
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new AppError("bad-data", `cannot read ${quote(path)}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function reasonOf(error: unknown): string {
  return systemCode(error) === "ENOENT" ? "it does not exist" : messageOf(error);
}
