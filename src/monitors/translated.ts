import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { AddedJobs } from "../config/added-jobs.ts";
import { Fields } from "../kubernetes/fields.ts";
import type { Followed } from "./followed.ts";
import type { PrometheusSettings } from "./prometheus-settings.ts";
import type { LookupUse, References } from "./references.ts";
import { additionalJobs, checkJobs, translate } from "./translate.ts";
import { ADDITIONAL, secretOf, type ResourceKind, type Translation } from "./translation.ts";

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

/** After so long others have their turn: a lease is to be renewed, and shards are to be asked. */
const BREATH_MS = 20;

/** By `kind namespace/name`, in the order given; `unread` are the objects to read before all is known. */
interface Translated {
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly unread: ReadonlySet<string>;
}

/** Translates resources, each again only when it, what it names or what it stands under has changed. */
export class TranslatedResources {
  readonly #options: { readonly references: References; readonly clock: Clock };
  #entries = new Map<string, Entry>();

  constructor(options: { readonly references: References; readonly clock: Clock }) {
    this.#options = options;
  }

  /** Takes its time, letting others work in between. Not to be called again before it has ended. */
  async translate(
    resources: ReadonlyMap<string, { readonly kind: ResourceKind; readonly object: Followed }>,
    base: TranslationBase,
  ): Promise<Translated> {
    const { clock } = this.#options;
    let sinceMs = clock.monotonic();
    const entries = new Map<string, Entry>();
    const outcomes = new Map<string, Outcome>();
    const unread = new Set<string>();
    for (const [key, { kind, object }] of resources) {
      const known = this.#entries.get(key);
      const isCurrent =
        known?.object === object &&
        known.base === base &&
        this.#options.references.areCurrent(known.used);
      const entry = isCurrent ? known : this.#translate(kind, object, base);
      if (clock.monotonic() - sinceMs > BREATH_MS) {
        await clock.sleep(0);
        sinceMs = clock.monotonic();
      }
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

  #translate(kind: ResourceKind, object: Followed, base: TranslationBase): Entry {
    const { lookup, used } = this.#options.references.startUse();
    const { namespace, name, spec } = object;
    const { settings, kubeconfigFile, takenNames } = base;
    const at: Translation = { settings, namespace, name, lookup, kubeconfigFile };
    let outcome: Outcome;
    try {
      const jobs =
        kind === ADDITIONAL
          ? additional(new Fields(spec, ADDITIONAL), at, base)
          : checkJobs(translate(kind, spec, at), base);
      const taken = jobs.configs.find(({ jobName }) => takenNames.has(jobName));
      outcome =
        taken === undefined
          ? { kind: "good", jobs }
          : { kind: "rejected", reason: `prometheus.yml has a job ${taken.jobName}` };
    } catch (error) {
      outcome = { kind: "rejected", reason: messageOf(error) };
    }
    for (const contents of used.values())
      if (contents?.kind === "unknown") outcome = { kind: "waiting", reason: contents.reason };
    return { object, base, used, outcome };
  }
}

/** What the Secret of `additionalScrapeConfigs` says; nothing when it is optional and not there. */
function additional(selector: Fields, at: Translation, base: TranslationBase): AddedJobs {
  let text: string;
  try {
    text = secretOf(selector, at).reveal();
  } catch (error) {
    if (!selector.flag("optional")) throw error;
    text = "";
  }
  return additionalJobs(text, base);
}
