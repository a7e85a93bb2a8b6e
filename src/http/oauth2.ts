import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { OAuth2Config } from "../config/types.ts";
import type { HttpClient, HttpResponse } from "./client.ts";
import { readText } from "./read-body.ts";
import type { SecretFiles } from "./secret-files.ts";

/** A token is renewed this long before it ends, so that one in flight does not expire on the way. */
const EXPIRY_MARGIN_MS = 10_000;
/** An answer of a token server beyond this is not one. */
const ANSWER_MAX_BYTES = 1 << 20;

interface Token {
  readonly header: string;
  readonly expiresAt: number;
}

/**
 * OAuth 2.0 client credentials (RFC 6749 §4.4): one token for all requests of a client, kept until it expires or a server
 * refuses it. Concurrent requests share one fetch.
 */
export class TokenSource {
  readonly #config: OAuth2Config;
  readonly #client: HttpClient;
  readonly #files: SecretFiles;
  readonly #clock: Clock;
  #token: Token | undefined;
  #pending: Promise<Token> | undefined;
  /** Whether the server wants the client's id and secret in the body; learnt from its first refusal. */
  #credentialsInBody = false;

  constructor(
    config: OAuth2Config,
    options: { client: HttpClient; files: SecretFiles; clock: Clock },
  ) {
    this.#config = config;
    this.#client = options.client;
    this.#files = options.files;
    this.#clock = options.clock;
  }

  /** The Authorization header; fetches a token when there is none or it is about to expire. */
  async header(timeoutMs: number): Promise<string> {
    const token = this.#token;
    if (token !== undefined && this.#clock.now() < token.expiresAt) return token.header;
    this.#pending ??= this.#fetch(timeoutMs).finally(() => (this.#pending = undefined));
    return (await this.#pending).header;
  }

  /** Forgets the token if it is still the one that sent `header`. */
  invalidate(header: string): void {
    if (this.#token?.header === header) this.#token = undefined;
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #fetch(timeoutMs: number): Promise<Token> {
    const { clientSecret, clientSecretFile } = this.#config;
    const secret =
      clientSecretFile === ""
        ? clientSecret.reveal()
        : await this.#files.readTrimmed(clientSecretFile, "client_secret_file");
    let response = await this.#ask(secret, timeoutMs);
    if (response.status >= 400 && response.status < 500 && !this.#credentialsInBody) {
      this.#credentialsInBody = true;
      await readText(response.body, ANSWER_MAX_BYTES);
      response = await this.#ask(secret, timeoutMs);
      if (response.status >= 400) this.#credentialsInBody = false;
    }
    const text = await readText(response.body, ANSWER_MAX_BYTES);
    if (response.status !== 200)
      throw new AppError(
        "unavailable",
        `oauth2: cannot fetch token: ${response.status} ${response.statusText}`,
      );
    return (this.#token = this.#parse(text));
  }

  #ask(secret: string, timeoutMs: number): Promise<HttpResponse> {
    const { clientId, scopes, endpointParams, tokenUrl } = this.#config;
    const form = new URLSearchParams({ grant_type: "client_credentials", ...endpointParams });
    if (scopes.length > 0) form.set("scope", scopes.join(" "));
    const headers: Record<string, string> = {
      "content-type": "application/x-www-form-urlencoded",
    };
    if (this.#credentialsInBody) {
      form.set("client_id", clientId);
      if (secret !== "") form.set("client_secret", secret);
    } else {
      const pair = `${encodeURIComponent(clientId)}:${encodeURIComponent(secret)}`;
      headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
    }
    return this.#client.request({
      url: tokenUrl,
      method: "POST",
      headers,
      body: form.toString(),
      timeoutMs,
    });
  }

  #parse(text: string): Token {
    let answer: unknown;
    try {
      answer = JSON.parse(text);
    } catch (error) {
      throw new AppError("unavailable", `oauth2: cannot parse json: ${messageOf(error)}`, {
        cause: error,
      });
    }
    const field = (name: string): unknown =>
      typeof answer === "object" && answer !== null ? Reflect.get(answer, name) : undefined;
    const accessToken = field("access_token");
    if (typeof accessToken !== "string" || accessToken === "")
      throw new AppError("unavailable", "oauth2: server response missing access_token");
    const type = field("token_type");
    // Some servers write the seconds as a string. No expiry means: until refused.
    const seconds = Number(field("expires_in") ?? 0);
    return {
      header: `${typeof type === "string" && type.toLowerCase() !== "bearer" ? type : "Bearer"} ${accessToken}`,
      expiresAt: seconds > 0 ? this.#clock.now() + seconds * 1000 - EXPIRY_MARGIN_MS : Infinity,
    };
  }
}
