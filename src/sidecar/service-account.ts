import { basename, join } from "node:path";
import type { HttpClientConfig } from "../config/types.ts";

/** Where Kubernetes puts a service account's files into a pod. */
const FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** The same file below `path` for one of the service account's, any other as it is; "" for `path` moves nothing. */
export function movedFile(file: string, path: string): string {
  const isMoved = file === join(FOLDER, "token") || file === join(FOLDER, "ca.crt");
  return isMoved && path !== "" ? join(path, basename(file)) : file;
}

/** A job's settings with the service account's files where they are. */
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
