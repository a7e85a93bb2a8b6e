import type { Target } from "../model/target.ts";
import type { ScrapeUpdate } from "../scrape/scrape-manager.ts";
import type { CounterContext } from "./body-counter.ts";
import { JobClients, type JobClientsOptions } from "./job-clients.ts";
import { ProxiedTarget } from "./proxied-target.ts";
import { HASH_PARAMETER } from "./target-files.ts";

/** What a request asks for: a target that is assigned here, or nothing that may be had. */
export type Found =
  | { readonly kind: "target"; readonly target: ProxiedTarget }
  | { readonly kind: "refused"; readonly reason: string };

/** Request lines that were looked at are remembered, at most so many for each target. */
const KNOWN_PER_TARGET = 2;

/** The targets that the proxy serves, and no others. */
export class ProxyTargets {
  readonly #context: CounterContext;
  readonly #jobs: JobClients;
  #targets = new Map<string, ProxiedTarget>();
  /** Fast path: what a target was asked for by last time, text by text. */
  readonly #known = new Map<string, ProxiedTarget>();

  constructor(context: CounterContext, options: JobClientsOptions) {
    this.#context = context;
    this.#jobs = new JobClients(options);
  }

  /** Makes these the targets; those that stay keep what is known of them. */
  apply({ config, targets }: ScrapeUpdate): void {
    this.#jobs.apply(config);
    const next = new Map<string, ProxiedTarget>();
    for (const target of targets) {
      const job = this.#jobs.get(target.job);
      if (job === undefined) continue;
      const known = this.#targets.get(target.hash);
      known?.reconfigure({ target, job });
      next.set(target.hash, known ?? new ProxiedTarget(this.#context, { target, job }));
    }
    this.#targets = next;
    this.#known.clear();
  }

  /** `requestTarget` as in the request line, absolute or a path; `host` as in the header. */
  find(requestTarget: string, host: string | undefined): Found {
    const isAbsolute = !requestTarget.startsWith("/");
    const text = isAbsolute ? requestTarget : `http://${host ?? ""}${requestTarget}`;
    const known = this.#known.get(text);
    if (known !== undefined) return { kind: "target", target: known };
    const asked = URL.parse(text);
    if (asked === null || asked.protocol !== "http:")
      return { kind: "refused", reason: "the request has no http URL" };
    const hash = asked.searchParams.get(HASH_PARAMETER);
    if (hash === null)
      return { kind: "refused", reason: `the request has no parameter ${HASH_PARAMETER}` };
    const target = this.#targets.get(hash);
    if (target === undefined)
      return { kind: "refused", reason: "no target with this hash is assigned here" };
    const mismatch = target.mismatch(asked);
    if (mismatch !== undefined)
      return { kind: "refused", reason: `this is not the target that was assigned: ${mismatch}` };
    if (this.#known.size < KNOWN_PER_TARGET * this.#targets.size) this.#known.set(text, target);
    return { kind: "target", target };
  }

  get(target: Target): ProxiedTarget | undefined {
    return this.#targets.get(target.hash);
  }

  [Symbol.iterator](): IterableIterator<ProxiedTarget> {
    return this.#targets.values();
  }

  async close(): Promise<void> {
    this.#targets = new Map();
    this.#known.clear();
    await this.#jobs.close();
  }
}
