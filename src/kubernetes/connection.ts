import { plainHttpClient } from "../config/plain-http-client.ts";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, systemCode } from "../base/errors.ts";
import { Secret } from "../config/secret.ts";
import type { HttpClientConfig } from "../config/types.ts";

/** Where pods find their service account. */
export const SERVICE_ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";

/** Credentials that a program or a login service hands out for a while. */
export interface Credential {
  /** A bearer token; `NONE` when the certificate alone says who asks. */
  readonly token: Secret;
  /** PEM; "" when the token alone says who asks. */
  readonly certificate: string;
  readonly key: Secret;
}

export interface CredentialSource {
  /** The credential to use now; a new one when the last has expired. */
  get(signal: AbortSignal | undefined): Promise<Credential>;
  /** The server refused what `get` gave: the next call must bring a new one. */
  invalidate(): void;
}

/** How to reach one API server, and as whom. */
export interface KubeConnection {
  /** Absolute; may have a path that the server sits below. */
  readonly server: string;
  /** The namespace that is meant when none is named. */
  readonly namespace: string;
  /** Certificate authority, proxy and fixed credentials. Files named in it are read again as they change. */
  readonly httpClient: HttpClientConfig;
  /** Set when the credentials are not fixed. */
  readonly credentials: CredentialSource | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Whether this process runs in a pod of a cluster. */
export function isInCluster(environment: Environment): boolean {
  return Boolean(environment["KUBERNETES_SERVICE_HOST"] && environment["KUBERNETES_SERVICE_PORT"]);
}

/** The cluster that this process is a pod of, with its service account. The token file is read again as it rotates. */
export async function inClusterConnection(options: {
  readonly environment: Environment;
  /** Default `SERVICE_ACCOUNT_FOLDER`. */
  readonly folder?: string;
}): Promise<KubeConnection> {
  const { environment, folder = SERVICE_ACCOUNT_FOLDER } = options;
  if (!isInCluster(environment))
    throw new AppError(
      "bad-data",
      "cannot use the cluster this program runs in: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set, so it runs in none; give api_server or kubeconfig_file",
    );
  const host = environment["KUBERNETES_SERVICE_HOST"]!;
  const plain = plainHttpClient();
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${environment["KUBERNETES_SERVICE_PORT"]}`,
    namespace: await ownNamespace(folder).catch(() => "default"),
    httpClient: {
      ...plain,
      authorization: {
        type: "Bearer",
        credentials: Secret.NONE,
        credentialsFile: join(folder, "token"),
      },
      tls: { ...plain.tls, caFile: join(folder, "ca.crt") },
      proxy: { ...plain.proxy, fromEnvironment: true },
    },
    credentials: undefined,
  };
}

/** The namespace of the pod that this process is. */
export async function ownNamespace(folder: string = SERVICE_ACCOUNT_FOLDER): Promise<string> {
  const path = join(folder, "namespace");
  try {
    return (await readFile(path, "utf8")).trim();
  } catch (error) {
    const reason = systemCode(error) === "ENOENT" ? "no such file or directory" : String(error);
    throw new AppError(
      "unavailable",
      `cannot read the pod's own namespace from ${path}: ${reason}`,
      {
        cause: error,
      },
    );
  }
}
