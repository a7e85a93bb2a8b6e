import { messageOf } from "../base/errors.ts";
import type { AddedJobs } from "../config/added-jobs.ts";
import type { Followed } from "./followed.ts";
import type { PrometheusSettings } from "./prometheus-settings.ts";
import type { LookupUse, References } from "./references.ts";
import { checkJobs, translate } from "./translate.ts";
import type { MonitorKind } from "./translation.ts";

/** What resources are translated under. Another one, and all are translated anew. */
export interface TranslationBase {
  readonly settings: PrometheusSettings;
  /** The `global` section of prometheus.yml as text. */
  readonly global: string;
  readonly baseFolder: string;
  readonly kubeconfigFile: string;
  /** Names of prometheus.yml's own jobs. */
  readonly takenNames: ReadonlySet<string>;
}

export type Outcome =
  | { readonly kind: "good"; readonly jobs: AddedJobs }
  | { readonly kind: "rejected"; readonly reason: string }
  /** A Secret or ConfigMap of it has not been read. */
  | { readonly kind: "waiting"; readonly reason: string };

interface Entry {
  readonly object: Followed;
  readonly base: TranslationBase;
  readonly used: LookupUse["used"];
  readonly outcome: Outcome;
}

/** Translates resources, each again only when it, what it names or what it stands under has changed. */
export class TranslatedResources {
  readonly #references: References;
  #entries = new Map<string, Entry>();

  constructor(references: References) {
    this.#references = references;
  }

  /** By `kind namespace/name`, in the order given; `unread` are the objects to read before all is known. */
  translate(
    resources: ReadonlyMap<string, { readonly kind: MonitorKind; readonly object: Followed }>,
    base: TranslationBase,
  ): { readonly outcomes: ReadonlyMap<string, Outcome>; readonly unread: ReadonlySet<string> } {
    const entries = new Map<string, Entry>();
    const outcomes = new Map<string, Outcome>();
    const unread = new Set<string>();
    for (const [key, { kind, object }] of resources) {
      const known = this.#entries.get(key);
      const isCurrent =
        known?.object === object && known.base === base && this.#references.areCurrent(known.used);
      const entry = isCurrent ? known : this.#translate(kind, object, base);
      entries.set(key, entry);
      outcomes.set(key, entry.outcome);
      for (const [name, contents] of entry.used) if (contents === undefined) unread.add(name);
    }
    this.#entries = entries;
    return { outcomes, unread };
  }

  /** The Secrets and ConfigMaps that any of them names. */
  used(): ReadonlySet<string> {
    return new Set([...this.#entries.values()].flatMap(({ used }) => [...used.keys()]));
  }

  #translate(kind: MonitorKind, object: Followed, base: TranslationBase): Entry {
    const { lookup, used } = this.#references.startUse();
    const { namespace, name, spec } = object;
    const { settings, kubeconfigFile, takenNames } = base;
    let outcome: Outcome;
    try {
      const jobs = translate(kind, spec, { settings, namespace, name, lookup, kubeconfigFile });
      const taken = jobs.find(({ job_name: one }) => takenNames.has(one));
      outcome =
        taken === undefined
          ? { kind: "good", jobs: checkJobs(jobs, base) }
          : { kind: "rejected", reason: `prometheus.yml has a job ${taken.job_name}` };
    } catch (error) {
      outcome = { kind: "rejected", reason: messageOf(error) };
    }
    for (const contents of used.values())
      if (contents?.kind === "unknown") outcome = { kind: "waiting", reason: contents.reason };
    return { object, base, used, outcome };
  }
}
