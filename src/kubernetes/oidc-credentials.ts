import { plainHttpClient } from "../config/plain-http-client.ts";
import { isAbsolute, join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { Secret } from "../config/secret.ts";
import type { HttpClientConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import { readText } from "../http/read-body.ts";
import { type Credential, type CredentialSource } from "./connection.ts";
import { Fields } from "./fields.ts";

/** A token is renewed this long before it ends, for the clocks of two machines. */
const EARLY_MS = 10_000;
const ANSWER_MAX_BYTES = 1 << 20;
const REQUEST_TIMEOUT_MS = 30_000;

/**
 * `auth-provider: {name: oidc}` of a kubeconfig: an ID token, renewed with the refresh token where there is one. A refresh
 * token that the login service replaces is kept in memory only.
 */
export class OidcCredentials implements CredentialSource {
  readonly #config: Fields;
  readonly #clock: Clock;
  readonly #createHttpClient: () => HttpClient;
  #idToken: string;
  #refreshToken: string;
  #expiresAtMs: number;
  #running: Promise<Credential> | undefined;

  constructor(options: {
    readonly config: Fields;
    readonly folder: string;
    readonly clock: Clock;
    readonly createHttpClient: (config: HttpClientConfig) => HttpClient;
  }) {
    const { config, folder } = options;
    this.#config = config;
    this.#clock = options.clock;
    this.#idToken = config.text("id-token");
    this.#refreshToken = config.text("refresh-token");
    this.#expiresAtMs = expiryOf(this.#idToken);
    const caData = config.text("idp-certificate-authority-data");
    const caFile = config.text("idp-certificate-authority");
    const plain = plainHttpClient();
    this.#createHttpClient = () =>
      options.createHttpClient({
        ...plain,
        tls: {
          ...plain.tls,
          ...(caData !== ""
            ? { ca: Buffer.from(caData, "base64").toString("utf8") }
            : { caFile: caFile === "" || isAbsolute(caFile) ? caFile : join(folder, caFile) }),
        },
        proxy: { ...plain.proxy, fromEnvironment: true },
      });
  }

  get(signal: AbortSignal | undefined): Promise<Credential> {
    if (this.#clock.now() < this.#expiresAtMs - EARLY_MS)
      return Promise.resolve(this.#credential());
    this.#running ??= this.#renew(signal).finally(() => (this.#running = undefined));
    return this.#running;
  }

  invalidate(): void {
    this.#expiresAtMs = 0;
  }

  #credential(): Credential {
    return { token: new Secret(this.#idToken), certificate: "", key: Secret.NONE };
  }

  async #renew(signal: AbortSignal | undefined): Promise<Credential> {
    const issuer = this.#config.text("idp-issuer-url");
    const clientId = this.#config.text("client-id");
    if (this.#refreshToken === "" || issuer === "" || clientId === "")
      throw this.#config.problem(
        "has an id-token that has expired, and no refresh-token, client-id and idp-issuer-url to renew it with; log in again",
      );
    const http = this.#createHttpClient();
    try {
      const ask = async (
        url: string,
        request: { readonly method: "GET" | "POST"; readonly body?: string },
      ): Promise<Fields> => {
        const response = await http.request({
          url,
          ...request,
          headers: {
            accept: "application/json",
            ...(request.body !== undefined && {
              "content-type": "application/x-www-form-urlencoded",
            }),
          },
          ...(signal !== undefined && { signal }),
          timeoutMs: REQUEST_TIMEOUT_MS,
        });
        const text = await readText(response.body, ANSWER_MAX_BYTES);
        if (response.status !== 200)
          throw new AppError(
            "unavailable",
            `cannot renew the OIDC token: ${url} answered HTTP status ${response.status}`,
          );
        return new Fields(parseJson(text, url), `answer of ${url}`);
      };
      const about = await ask(`${issuer.replace(/\/+$/, "")}/.well-known/openid-configuration`, {
        method: "GET",
      });
      const form = new URLSearchParams({
        grant_type: "refresh_token",
        refresh_token: this.#refreshToken,
        client_id: clientId,
      });
      const secret = this.#config.text("client-secret");
      if (secret !== "") form.set("client_secret", secret);
      const answer = await ask(about.text("token_endpoint"), {
        method: "POST",
        body: form.toString(),
      });
      const idToken = answer.text("id_token");
      if (idToken === "") throw answer.problem("has no id_token");
      this.#idToken = idToken;
      this.#refreshToken = answer.text("refresh_token") || this.#refreshToken;
      this.#expiresAtMs = expiryOf(idToken);
      return this.#credential();
    } finally {
      await http.close();
    }
  }
}

function parseJson(text: string, url: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new AppError("unavailable", `the answer of ${url} is not JSON`);
  }
}

/** When a JSON web token ends; 0 when it does not say, which renews it at once. */
function expiryOf(token: string): number {
  const payload = token.split(".")[1];
  if (payload === undefined) return 0;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    const expiry: unknown =
      typeof claims === "object" && claims !== null && "exp" in claims ? claims.exp : undefined;
    return typeof expiry === "number" ? expiry * 1000 : 0;
  } catch {
    return 0;
  }
}
