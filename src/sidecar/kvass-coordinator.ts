import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Config } from "../config/types.ts";
import type { PrometheusClient } from "./prometheus-client.ts";

export interface KvassCoordinatorOptions {
  /** Asks the coordinator's API. */
  readonly client: Pick<PrometheusClient, "ask" | "close">;
  /** What the sidecar runs. */
  readonly config: () => Config | undefined;
  /** Takes the coordinator's text, or compares it with the sidecar's own file; rejects when it cannot be used. */
  readonly offer: (text: string) => Promise<void>;
  readonly logger: Logger;
}

/**
 * A coordinator of Kvass (v0.3.2) in charge of this sidecar. It gives targets only to shards that report its own name for
 * its configuration, a hash over the Go structures that it has parsed the text into, which nobody else can compute. But it
 * tells that name to everybody who asks:
 *
 *     GET /api/v1/status/config ─► text ──── offered, when the sidecar runs another
 *     GET /api/v1/runtimeinfo   ─► its hash ─► reported from then on, as long as the sidecar runs that text
 *
 * The text is compared whole, so an edited regular expression, which the hash does not see and the coordinator therefore
 * never pushes, arrives too.
 */
export class KvassCoordinator {
  readonly #options: KvassCoordinatorOptions;
  /** Its text with its hash, and what the sidecar runs for it. */
  #agreed: { readonly text: string; readonly hash: string; readonly runs: string } | undefined;
  #error = "";

  constructor(options: KvassCoordinatorOptions) {
    this.#options = options;
  }

  /** Its name for the configuration that runs here; "" when that is not its own. Never rejects. */
  async configHash(): Promise<string> {
    const { logger } = this.#options;
    try {
      await this.#agree();
      if (this.#error !== "") logger.info("Kvass's coordinator is followed again", {});
      this.#error = "";
    } catch (error) {
      // What was agreed on still holds; a coordinator that has moved on will say so itself.
      const message = messageOf(error);
      if (message !== this.#error) logger.warn("cannot follow Kvass's coordinator", { error });
      this.#error = message;
    }
    const { hash, runs } = this.#agreed ?? { hash: "", runs: undefined };
    return runs === this.#options.config()?.source ? hash : "";
  }

  stop(): Promise<void> {
    return this.#options.client.close();
  }

  async #agree(): Promise<void> {
    const { config, offer } = this.#options;
    const text = await this.#text();
    const hash = await this.#hash();
    // The two are asked for one after the other; only while the text stays do they belong together.
    if ((await this.#text()) !== text) return;
    if (this.#agreed?.text !== text || this.#agreed.runs !== config()?.source) await offer(text);
    this.#agreed = { text, hash, runs: config()?.source ?? "" };
  }

  async #text(): Promise<string> {
    return textAt(await this.#options.client.ask("/api/v1/status/config"), "yaml");
  }

  async #hash(): Promise<string> {
    return textAt(await this.#options.client.ask("/api/v1/runtimeinfo"), "ConfigHash");
  }
}

function textAt(data: unknown, name: string): string {
  const value: unknown =
    typeof data === "object" && data !== null ? Reflect.get(data, name) : undefined;
  if (typeof value === "string" && value !== "") return value;
  throw new AppError(
    "unavailable",
    `cannot read ${name} in the answer: is this a Kvass coordinator's API?`,
  );
}
