import { execFile } from "node:child_process";
import { isAbsolute, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { Secret } from "../config/secret.ts";
import type { Credential, CredentialSource, Environment } from "./connection.ts";
import { Fields } from "./fields.ts";

const API_VERSIONS = ["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"];
const RUN_TIMEOUT_MS = 60_000;
const OUTPUT_MAX_BYTES = 1 << 20;

interface ExecOptions {
  /** `exec` of a kubeconfig's user. */
  readonly exec: Fields;
  /** The kubeconfig's cluster, which is told to the program when `provideClusterInfo` is set. */
  readonly cluster: Fields;
  /** Of the kubeconfig: a command with a slash in it is relative to this. */
  readonly folder: string;
  readonly environment: Environment;
  readonly clock: Clock;
}

/**
 * Credentials that a program prints: the "client-go credential plugins" protocol. The program runs when there is none yet,
 * when the last one has expired, and when the server has refused it; never twice at once.
 */
export class ExecCredentials implements CredentialSource {
  readonly #command: string;
  readonly #args: readonly string[];
  readonly #environment: Environment;
  readonly #apiVersion: string;
  readonly #installHint: string;
  readonly #clock: Clock;
  #current: { readonly credential: Credential; readonly expiresAtMs: number } | undefined;
  #running: Promise<Credential> | undefined;

  constructor(options: ExecOptions) {
    const { exec, cluster, folder, environment } = options;
    const command = exec.text("command");
    if (command === "") throw exec.problem("names no command");
    this.#apiVersion = exec.text("apiVersion");
    if (!API_VERSIONS.includes(this.#apiVersion))
      throw exec.problem(
        `has the apiVersion ${JSON.stringify(this.#apiVersion)}; supported: ${API_VERSIONS.join(", ")}`,
      );
    if (exec.text("interactiveMode") === "Always")
      throw exec.problem("wants to ask a person (interactiveMode: Always), and nobody is there");
    this.#command = command.includes("/") && !isAbsolute(command) ? join(folder, command) : command;
    this.#args = exec.texts("args");
    this.#installHint = exec.text("installHint");
    this.#clock = options.clock;
    this.#environment = {
      ...environment,
      ...Object.fromEntries(
        exec.children("env").map((one) => [one.text("name"), one.text("value")]),
      ),
      KUBERNETES_EXEC_INFO: JSON.stringify({
        apiVersion: this.#apiVersion,
        kind: "ExecCredential",
        spec: {
          interactive: false,
          ...(exec.flag("provideClusterInfo") && { cluster: clusterInfo(cluster) }),
        },
      }),
    };
  }

  get(): Promise<Credential> {
    const known = this.#current;
    if (known !== undefined && this.#clock.now() < known.expiresAtMs)
      return Promise.resolve(known.credential);
    this.#running ??= this.#obtain().finally(() => (this.#running = undefined));
    return this.#running;
  }

  invalidate(): void {
    this.#current = undefined;
  }

  async #obtain(): Promise<Credential> {
    const printed = await this.#run();
    const status = this.#read(printed);
    const token = status.text("token");
    const certificate = status.text("clientCertificateData");
    const key = status.text("clientKeyData");
    if (token === "" && certificate === "")
      throw status.problem("has neither a token nor a client certificate");
    if ((certificate === "") !== (key === ""))
      throw status.problem("has a client certificate without its key, or a key without it");
    const expires = status.text("expirationTimestamp");
    const expiresAtMs = expires === "" ? Infinity : Date.parse(expires);
    if (Number.isNaN(expiresAtMs))
      throw status.problem("has an expirationTimestamp that is not a time");
    const credential = { token: new Secret(token), certificate, key: new Secret(key) };
    this.#current = { credential, expiresAtMs };
    return credential;
  }

  /** Nothing of the output is ever shown: it holds the secret. */
  #read(printed: string): Fields {
    const where = `output of credential plugin ${this.#command}`;
    let value: unknown;
    try {
      value = JSON.parse(printed);
    } catch {
      throw new AppError("unavailable", `${where} is not JSON`);
    }
    const credential = new Fields(value, where);
    if (credential.text("apiVersion") !== this.#apiVersion)
      throw credential.problem(
        `has the apiVersion ${JSON.stringify(credential.text("apiVersion"))}, not ${JSON.stringify(this.#apiVersion)}`,
      );
    return credential.child("status");
  }

  #run(): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        this.#command,
        [...this.#args],
        {
          env: { ...this.#environment },
          timeout: RUN_TIMEOUT_MS,
          maxBuffer: OUTPUT_MAX_BYTES,
          encoding: "utf8",
        },
        (error, stdout, stderr) => {
          if (error === null) {
            resolve(stdout);
            return;
          }
          const isMissing = systemCode(error) === "ENOENT";
          const reason = isMissing
            ? "no such program"
            : stderr.trim().slice(-500) || messageOf(error);
          const hint = isMissing && this.#installHint !== "" ? `\n${this.#installHint}` : "";
          reject(
            new AppError(
              "unavailable",
              `cannot run credential plugin ${this.#command}: ${reason}${hint}`,
            ),
          );
        },
      );
      child.stdin?.end();
    });
  }
}

function clusterInfo(cluster: Fields): Readonly<Record<string, unknown>> {
  const texts = {
    server: cluster.text("server"),
    "tls-server-name": cluster.text("tls-server-name"),
    "certificate-authority-data": cluster.text("certificate-authority-data"),
    "proxy-url": cluster.text("proxy-url"),
  };
  const skips = cluster.flag("insecure-skip-tls-verify");
  return {
    ...Object.fromEntries(Object.entries(texts).filter(([, value]) => value !== "")),
    ...(skips && { "insecure-skip-tls-verify": true }),
  };
}
