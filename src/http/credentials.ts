import type { HttpClientConfig } from "../config/types.ts";
import type { SecretFiles } from "./secret-files.ts";

/** Header names in lower case; more than one value sends the header more than once. */
export type OutgoingHeaders = Record<string, string | string[]>;

/**
 * The headers of a client's configuration that only the configured host may see: basic auth, authorization and custom
 * headers. `headers()` is a promise only when files are involved.
 */
export interface Credentials {
  headers(): OutgoingHeaders | Promise<OutgoingHeaders>;
}

export function createCredentials(config: HttpClientConfig, files: SecretFiles): Credentials {
  if (!usesFiles(config)) {
    const fixed = collectInline(config);
    return { headers: () => fixed };
  }
  return { headers: () => collect(config, files) };
}

export function basicAuthorization(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function usesFiles(config: HttpClientConfig): boolean {
  const { basicAuth, authorization, headers } = config;
  return (
    (basicAuth !== undefined && (basicAuth.usernameFile !== "" || basicAuth.passwordFile !== "")) ||
    (authorization !== undefined && authorization.credentialsFile !== "") ||
    Object.values(headers).some((header) => header.files.length > 0)
  );
}

function collectInline(config: HttpClientConfig): OutgoingHeaders {
  const { basicAuth, authorization, headers } = config;
  const result: OutgoingHeaders = {};
  if (basicAuth !== undefined)
    result["authorization"] = basicAuthorization(basicAuth.username, basicAuth.password.reveal());
  if (authorization !== undefined && !authorization.credentials.isEmpty)
    result["authorization"] = `${authorization.type} ${authorization.credentials.reveal()}`;
  for (const [name, header] of Object.entries(headers))
    addHeader(result, name, [...header.values, ...header.secrets.map((secret) => secret.reveal())]);
  return result;
}

async function collect(config: HttpClientConfig, files: SecretFiles): Promise<OutgoingHeaders> {
  const { basicAuth, authorization, headers } = config;
  const result = collectInline(config);
  if (basicAuth !== undefined) {
    const [username, password] = await Promise.all([
      basicAuth.usernameFile === ""
        ? basicAuth.username
        : files.readTrimmed(basicAuth.usernameFile, "username_file"),
      basicAuth.passwordFile === ""
        ? basicAuth.password.reveal()
        : files.readTrimmed(basicAuth.passwordFile, "password_file"),
    ]);
    result["authorization"] = basicAuthorization(username, password);
  }
  if (authorization !== undefined && authorization.credentialsFile !== "")
    result["authorization"] =
      `${authorization.type} ${await files.readTrimmed(authorization.credentialsFile, "credentials_file")}`;
  for (const [name, header] of Object.entries(headers))
    for (const path of header.files)
      addHeader(result, name, [await files.readTrimmed(path, `http_headers file of ${name}`)]);
  return result;
}

function addHeader(headers: OutgoingHeaders, name: string, values: readonly string[]): void {
  const key = name.toLowerCase();
  const known = Object.hasOwn(headers, key) ? headers[key]! : [];
  const all = [...(typeof known === "string" ? [known] : known), ...values];
  if (all.length > 0) headers[key] = all;
}
