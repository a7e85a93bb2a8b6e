import { basename, join } from "node:path";
import type { HttpClientConfig } from "./types.ts";

/** Where Kubernetes puts a service account's files into a pod. */
const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
export const TOKEN_FILE = join(FOLDER, "token");
export const CA_FILE = join(FOLDER, "ca.crt");

/** The same file below `path` for one of the service account's, any other as it is; "" for `path` moves nothing. */
export function movedFile(file: string, path: string): string {
  const isMoved = file === TOKEN_FILE || file === CA_FILE;
  return isMoved && path !== "" ? join(path, basename(file)) : file;
}

/** A client's settings with the service account's files where they are. */
export function movedClientConfig(config: HttpClientConfig, path: string): HttpClientConfig {
  const { authorization, tls } = config;
  return {
    ...config,
    tls: { ...tls, caFile: movedFile(tls.caFile, path) },
    authorization: authorization && {
      ...authorization,
      credentialsFile: movedFile(authorization.credentialsFile, path),
    },
  };
}
