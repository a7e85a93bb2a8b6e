import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Secret } from "../config/secret.ts";
import type { HttpClient } from "../http/client.ts";
import type { Environment } from "../http/proxy.ts";
import { askAws, type AwsCredentials } from "./aws-query.ts";
import { endpointOf } from "./aws-region.ts";

/** Credentials of an assumed role are renewed when this little of their time is left. */
const RENEW_MS = 60_000;

export interface AwsCredentialsOptions {
  /** Both empty: found elsewhere. */
  readonly accessKey: string;
  readonly secretKey: Secret;
  readonly profile: string;
  /** The role to assume with the credentials; "" for none. */
  readonly roleArn: string;
  readonly externalId: string;
  readonly region: string;
  readonly environment: Environment;
  readonly client: HttpClient;
  readonly clock: Clock;
}

/**
 * Where credentials come from, in AWS's order: the configuration's keys, the profile it names, AWS's variables, and then
 * all the other places that AWS's own chain looks in (shared files, single sign-on, web identity, container and instance
 * metadata). With a role, they are exchanged for the role's.
 */
export class AwsCredentialSource {
  readonly #options: AwsCredentialsOptions;
  #chain: (() => Promise<AwsCredentials>) | undefined;
  #assumed: AwsCredentials | undefined;

  constructor(options: AwsCredentialsOptions) {
    this.#options = options;
  }

  async get(signal: AbortSignal): Promise<AwsCredentials> {
    if (this.#options.roleArn === "") return this.#own(signal);
    const expiresMs = this.#assumed?.expiration?.getTime() ?? -Infinity;
    if (expiresMs - this.#options.clock.now() < RENEW_MS)
      this.#assumed = await this.#assume(signal);
    return this.#assumed!;
  }

  /** Looks anew the next time: these were refused. */
  forget(): void {
    this.#chain = undefined;
    this.#assumed = undefined;
  }

  async #own(signal: AbortSignal): Promise<AwsCredentials> {
    const { accessKey, secretKey, profile, environment, region } = this.#options;
    if (accessKey !== "" && !secretKey.isEmpty)
      return { accessKeyId: accessKey, secretAccessKey: secretKey.reveal() };
    const { AWS_ACCESS_KEY_ID: id, AWS_SECRET_ACCESS_KEY: secret } = environment;
    if (profile === "" && id && secret) {
      const sessionToken = environment["AWS_SESSION_TOKEN"];
      return {
        accessKeyId: id,
        secretAccessKey: secret,
        ...(sessionToken && { sessionToken }),
      };
    }
    if (this.#chain === undefined) {
      const { defaultProvider } = await import("@aws-sdk/credential-provider-node");
      this.#chain = defaultProvider({
        ...(profile !== "" && { profile }),
        clientConfig: { region },
      });
    }
    return untilAborted(this.#chain(), signal);
  }

  async #assume(signal: AbortSignal): Promise<AwsCredentials> {
    const { roleArn, externalId, region, environment, client, clock } = this.#options;
    const answer = await askAws(
      {
        name: "sts",
        version: "2011-06-15",
        region,
        endpoint: endpointOf("sts", region, { environment }),
      },
      {
        Action: "AssumeRole",
        RoleArn: roleArn,
        RoleSessionName: `shoal-${clock.now()}`,
        ...(externalId !== "" && { ExternalId: externalId }),
      },
      { client, clock, credentials: await this.#own(signal), signal },
    );
    const found = answer.child("AssumeRoleResult").child("Credentials");
    const accessKeyId = found.text("AccessKeyId");
    const secretAccessKey = found.text("SecretAccessKey");
    const sessionToken = found.text("SessionToken");
    const expiration = new Date(found.text("Expiration") ?? "");
    if (!accessKeyId || !secretAccessKey || !sessionToken || Number.isNaN(expiration.getTime()))
      throw new AppError(
        "bad-data",
        `cannot assume role ${roleArn}: the answer has no credentials`,
      );
    return { accessKeyId, secretAccessKey, sessionToken, expiration };
  }
}

/** `promise`, or a rejection as soon as `signal` aborts: what is awaited cannot be told to end. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
