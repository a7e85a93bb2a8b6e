import { plainHttpClient } from "../config/plain-http-client.ts";
import { readFile } from "node:fs/promises";
import { dirname, isAbsolute, join } from "node:path";
import { parse } from "yaml";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import { Secret } from "../config/secret.ts";
import type { HttpClientConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import { type CredentialSource, type Environment, type KubeConnection } from "./connection.ts";
import { ExecCredentials } from "./exec-credentials.ts";
import { Fields } from "./fields.ts";
import { OidcCredentials } from "./oidc-credentials.ts";

export interface KubeconfigOptions {
  readonly environment: Environment;
  readonly clock: Clock;
  readonly createHttpClient: (config: HttpClientConfig) => HttpClient;
  /** Default: the file's `current-context`. */
  readonly context?: string;
}

/** The cluster and the user that a kubeconfig file names. Paths in it are relative to the file. */
export async function kubeconfigConnection(
  path: string,
  options: KubeconfigOptions,
): Promise<KubeConnection> {
  const file = new Fields(parseFile(path, await readKubeconfig(path)), `kubeconfig ${path}`);
  const contextName = options.context ?? file.text("current-context");
  if (contextName === "")
    throw file.problem("names no current-context; set one, or choose a context");
  const context = file.named("contexts", contextName).child("context");
  const cluster = file.named("clusters", context.text("cluster")).child("cluster");
  const userName = context.text("user");
  const user = userName === "" ? undefined : file.named("users", userName).child("user");
  const place: Place = { folder: dirname(path), cluster, options };
  const server = cluster.text("server");
  if (server === "" || !URL.canParse(server))
    throw cluster.problem(`has no server URL: ${JSON.stringify(server)}`);
  const proxyUrl = cluster.text("proxy-url");
  const plain = plainHttpClient();
  return {
    server,
    namespace: context.text("namespace") || "default",
    httpClient: {
      ...plain,
      ...(user !== undefined && fixedCredentials(user, place)),
      tls: { ...plain.tls, ...serverTls(place), ...(user !== undefined && clientTls(user, place)) },
      proxy: {
        ...plain.proxy,
        url: proxyUrl,
        fromEnvironment: proxyUrl === "",
      },
      headers: user === undefined ? {} : impersonation(user),
    },
    credentials: user === undefined ? undefined : changingCredentials(user, place),
  };
}

interface Place {
  /** Of the kubeconfig file. */
  readonly folder: string;
  readonly cluster: Fields;
  readonly options: KubeconfigOptions;
}

async function readKubeconfig(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const reason = systemCode(error) === "ENOENT" ? "no such file or directory" : messageOf(error);
    throw new AppError("bad-data", `cannot read kubeconfig ${path}: ${reason}`, { cause: error });
  }
}

function parseFile(path: string, text: string): unknown {
  try {
    return parse(text);
  } catch (error) {
    // Only the first line of the message: the others show the file, and with it secrets.
    const [first] = messageOf(error).split("\n");
    throw new AppError("bad-data", `cannot parse kubeconfig ${path}: ${first}`);
  }
}

function serverTls(place: Place): Partial<HttpClientConfig["tls"]> {
  const { cluster } = place;
  const authority = material(cluster, "certificate-authority", place);
  return {
    ca: authority.pem,
    caFile: authority.file,
    serverName: cluster.text("tls-server-name"),
    insecureSkipVerify: cluster.flag("insecure-skip-tls-verify"),
  };
}

function clientTls(user: Fields, place: Place): Partial<HttpClientConfig["tls"]> {
  const certificate = material(user, "client-certificate", place);
  const key = material(user, "client-key", place);
  return {
    cert: certificate.pem,
    certFile: certificate.file,
    key: new Secret(key.pem),
    keyFile: key.file,
  };
}

/** `key-data` holds the PEM itself in base64 and wins over `key`, which names a file. */
function material(fields: Fields, key: string, place: Place): { pem: string; file: string } {
  const data = fields.text(`${key}-data`);
  if (data !== "") return { pem: Buffer.from(data, "base64").toString("utf8"), file: "" };
  return { pem: "", file: besides(place.folder, fields.text(key)) };
}

function besides(folder: string, path: string): string {
  return path === "" || isAbsolute(path) ? path : join(folder, path);
}

function fixedCredentials(
  user: Fields,
  place: Place,
): Partial<Pick<HttpClientConfig, "basicAuth" | "authorization">> {
  const tokenFile = user.text("tokenFile");
  const token = user.text("token");
  const username = user.text("username");
  if (tokenFile !== "")
    return {
      authorization: {
        type: "Bearer",
        credentials: Secret.NONE,
        credentialsFile: besides(place.folder, tokenFile),
      },
    };
  if (token !== "")
    return {
      authorization: { type: "Bearer", credentials: new Secret(token), credentialsFile: "" },
    };
  if (username === "") return {};
  return {
    basicAuth: {
      username,
      usernameFile: "",
      password: new Secret(user.text("password")),
      passwordFile: "",
    },
  };
}

function impersonation(user: Fields): HttpClientConfig["headers"] {
  const plain = (values: readonly string[]): HttpClientConfig["headers"][string] => ({
    values,
    secrets: [],
    files: [],
  });
  const as = user.text("as");
  if (as === "") return {};
  const uid = user.text("as-uid");
  const groups = user.texts("as-groups");
  return {
    "Impersonate-User": plain([as]),
    ...(uid !== "" && { "Impersonate-Uid": plain([uid]) }),
    ...(groups.length > 0 && { "Impersonate-Group": plain(groups) }),
  };
}

function changingCredentials(user: Fields, place: Place): CredentialSource | undefined {
  const { cluster, folder, options } = place;
  const { environment, clock } = options;
  const exec = user.optionalChild("exec");
  if (exec !== undefined) return new ExecCredentials({ exec, cluster, folder, environment, clock });
  const provider = user.optionalChild("auth-provider");
  if (provider === undefined) return undefined;
  const name = provider.text("name");
  if (name !== "oidc")
    throw provider.problem(
      `names the auth-provider ${JSON.stringify(name)}, which is no longer supported; use an exec plugin`,
    );
  return new OidcCredentials({
    config: provider.child("config"),
    folder,
    clock,
    createHttpClient: options.createHttpClient,
  });
}
