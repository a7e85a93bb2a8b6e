import { Secret } from "../config/secret.ts";
import type { Fields } from "../kubernetes/fields.ts";
import type { PrometheusSettings } from "./prometheus-settings.ts";

export const MONITOR_KINDS = ["ServiceMonitor", "PodMonitor", "Probe", "ScrapeConfig"] as const;
export type MonitorKind = (typeof MONITOR_KINDS)[number];

/** Jobs that the Prometheus object takes from a Secret as they stand there. */
export const ADDITIONAL = "additionalScrapeConfigs";
export type ResourceKind = MonitorKind | typeof ADDITIONAL;

/** One key of a Secret or ConfigMap that a custom resource names. */
export interface Reference {
  readonly kind: "Secret" | "ConfigMap";
  readonly namespace: string;
  readonly name: string;
  readonly key: string;
}

/** The text behind a reference; throws `bad-data` when there is none. */
export type Lookup = (reference: Reference) => string;

/** What a custom resource is translated with. */
export interface Translation {
  readonly settings: PrometheusSettings;
  readonly namespace: string;
  readonly name: string;
  readonly lookup: Lookup;
  /** For `kubernetes_sd_configs`; "" for the cluster that the coordinator runs in. */
  readonly kubeconfigFile: string;
}

/** The value that a `secretKeySelector` names. */
export function secretOf(selector: Fields, at: Translation): Secret {
  return new Secret(at.lookup(referenceOf("Secret", selector, at)));
}

/** The value at `key`; undefined when nothing is named there. */
export function optionalSecret(of: Fields, key: string, at: Translation): Secret | undefined {
  const selector = of.optionalChild(key);
  return selector === undefined || selector.text("name") === ""
    ? undefined
    : secretOf(selector, at);
}

/** What a Secret or a ConfigMap holds; undefined when neither is named. */
export function secretOrConfigMap(of: Fields, at: Translation): Secret | string | undefined {
  const secret = of.optionalChild("secret");
  if (secret !== undefined) return secretOf(secret, at);
  const configMap = of.optionalChild("configMap");
  return configMap && at.lookup(referenceOf("ConfigMap", configMap, at));
}

function referenceOf(kind: Reference["kind"], selector: Fields, at: Translation): Reference {
  const name = selector.text("name");
  const key = selector.text("key");
  if (name === "" || key === "") throw selector.problem(`names no ${kind} and key`);
  return { kind, namespace: at.namespace, name, key };
}
