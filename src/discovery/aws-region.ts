import { loadSharedConfigFiles } from "@smithy/core/config";
import { AppError, messageOf } from "../base/errors.ts";
import type { HttpClient } from "../http/client.ts";
import type { Environment } from "../http/proxy.ts";
import { readBytes } from "../http/read-body.ts";

const METADATA_TIMEOUT_MS = 2000;
const METADATA_MAX_BYTES = 1 << 12;

/** Domains of the partitions, by the start of their regions' names. */
const DOMAINS: readonly (readonly [prefix: string, domain: string])[] = [
  ["cn-", "amazonaws.com.cn"],
  ["us-isob-", "sc2s.sgov.gov"],
  ["us-isof-", "csp.hci.ic.gov"],
  ["us-iso-", "c2s.ic.gov"],
  ["eu-isoe-", "cloud.adc-e.uk"],
  ["eusc-", "amazonaws.eu"],
  ["", "amazonaws.com"],
];

/** The URL of `service` in `region`: as configured, as AWS's variables say, or the public one. */
export function endpointOf(
  service: "ec2" | "sts",
  region: string,
  options: { configured?: string; environment: Environment },
): string {
  const { configured, environment } = options;
  const written =
    configured ||
    environment[`AWS_ENDPOINT_URL_${service.toUpperCase()}`] ||
    environment["AWS_ENDPOINT_URL"];
  if (written) return written.includes("://") ? written : `https://${written}`;
  const [, domain] = DOMAINS.find(([prefix]) => region.startsWith(prefix))!;
  return `https://${service}.${region}.${domain}`;
}

/**
 * The region where the configuration names none: AWS's variables, the profile's in AWS's configuration file, and at last
 * what the machine is told about itself. `client` must not use a proxy: the metadata service is on the machine's own link.
 */
export async function findRegion(options: {
  profile: string;
  environment: Environment;
  client: HttpClient;
  signal: AbortSignal;
}): Promise<string> {
  const { environment } = options;
  const named = environment["AWS_REGION"] || environment["AWS_DEFAULT_REGION"];
  if (named) return named;
  const { configFile, credentialsFile } = await loadSharedConfigFiles();
  const profile = options.profile || environment["AWS_PROFILE"] || "default";
  const configured = configFile[profile]?.["region"] ?? credentialsFile[profile]?.["region"];
  if (configured) return configured;
  try {
    return await askMachine(options);
  } catch (error) {
    throw new AppError(
      "unavailable",
      `could not determine AWS region: set region (${messageOf(error)})`,
      { cause: error },
    );
  }
}

/** The instance metadata service, version 2: a token first, then the question. */
async function askMachine(options: {
  environment: Environment;
  client: HttpClient;
  signal: AbortSignal;
}): Promise<string> {
  const { environment, client, signal } = options;
  if (environment["AWS_EC2_METADATA_DISABLED"]?.toLowerCase() === "true")
    throw new AppError("unavailable", "instance metadata is disabled");
  const base = environment["AWS_EC2_METADATA_SERVICE_ENDPOINT"] || "http://169.254.169.254";
  const ask = async (
    method: "PUT" | "GET",
    path: string,
    headers: Record<string, string>,
  ): Promise<string> => {
    const response = await client.request({
      url: `${base.replace(/\/$/, "")}/latest/${path}`,
      method,
      headers,
      signal,
      timeoutMs: METADATA_TIMEOUT_MS,
    });
    const text = Buffer.from(await readBytes(response.body, METADATA_MAX_BYTES)).toString("utf8");
    if (response.status === 200) return text.trim();
    throw new AppError("unavailable", `instance metadata answered ${response.status}`);
  };
  const token = await ask("PUT", "api/token", { "x-aws-ec2-metadata-token-ttl-seconds": "60" });
  return ask("GET", "meta-data/placement/region", { "x-aws-ec2-metadata-token": token });
}
