import { formatDuration, parseDuration } from "../base/units.ts";
import type { Fields } from "../kubernetes/fields.ts";
import { listOf, textOf } from "./http-options.ts";
import type { JobMap } from "./job.ts";
import type { ScrapeClass } from "./prometheus-settings.ts";
import { userRules } from "./relabelings.ts";
import type { MonitorKind, Translation } from "./translation.ts";

/** Prometheus's own default, which a job's interval caps. */
const DEFAULT_TIMEOUT = "10s";

/**
 * When a job scrapes. It says all itself, for what the operator would put into `global` is prometheus.yml's business here:
 * the resource's own, or the Prometheus object's, a timeout not being longer than the interval.
 */
export function timing(
  of: Fields,
  keys: { interval: string; timeout: string },
  at: Translation,
): JobMap {
  const { settings } = at;
  const interval = of.text(keys.interval) || settings.interval;
  const own = textOf(of, keys.timeout);
  const fallback = settings.timeout ?? shorter(DEFAULT_TIMEOUT, settings.interval);
  return { scrape_interval: interval, scrape_timeout: own ?? shorter(fallback, interval) };
}

function shorter(a: string, b: string): string {
  return formatDuration(Math.min(parseDuration(a), parseDuration(b)));
}

/** Protocols and limits, as every kind has them. */
export function scrapeKeys(
  spec: Fields,
  scrapeClass: ScrapeClass | undefined,
  at: Translation,
): JobMap {
  const { settings } = at;
  const protocols = listOf(spec, "scrapeProtocols") ?? settings.protocols;
  return {
    ...settings.limits(spec),
    ...settings.histograms(spec),
    scrape_protocols: protocols.length === 0 ? undefined : protocols,
    fallback_scrape_protocol:
      textOf(spec, "fallbackScrapeProtocol") ?? scrapeClass?.fallbackProtocol,
  };
}

/** `honor_timestamps`: false only where somebody says so. */
export function honorTimestamps(own: boolean | undefined, at: Translation): boolean | undefined {
  const overrides = at.settings.overridesHonorTimestamps;
  return own === undefined && !overrides ? undefined : (own ?? false) && !overrides;
}

export function honorLabels(own: boolean, at: Translation): boolean {
  return own && !at.settings.overridesHonorLabels;
}

/** `metric_relabel_configs` from the rules at `key`. */
export function metricRules(
  of: Fields,
  options: { readonly kind: MonitorKind; readonly scrapeClass: ScrapeClass | undefined },
  at: Translation,
): readonly JobMap[] | undefined {
  const rules = [
    ...(options.scrapeClass?.metricRelabelings ?? []),
    ...userRules(of, "metricRelabelings"),
    ...at.settings.enforcedRules(options.kind, at),
  ];
  return rules.length === 0 ? undefined : rules;
}

/** `kubernetes_sd_configs` of a monitor that looks into `namespaceSelector`'s namespaces. */
export function kubernetesDiscovery(
  options: {
    readonly role: string;
    readonly namespaceSelector: Fields;
    readonly attachesNode?: boolean | undefined;
    readonly selectors?: readonly JobMap[] | undefined;
  },
  at: Translation,
): readonly JobMap[] {
  const { role, attachesNode, selectors } = options;
  const names = namespacesOf(options.namespaceSelector, at);
  return [
    {
      role,
      kubeconfig_file: at.kubeconfigFile || undefined,
      namespaces: names && { names },
      attach_metadata: attachesNode === undefined ? undefined : { node: attachesNode },
      selectors,
    },
  ];
}

/** Undefined: all. */
function namespacesOf(selector: Fields, at: Translation): readonly string[] | undefined {
  if (at.settings.ignoresNamespaceSelectors) return [at.namespace];
  if (selector.flag("any")) return undefined;
  return listOf(selector, "matchNames") ?? [at.namespace];
}

/** Whether a monitor's selector is asked of the API (`selectorMechanism: RoleSelector`) instead of relabelling. */
export function usesRoleSelector(spec: Fields): boolean {
  const mechanism = spec.text("selectorMechanism");
  if (mechanism === "" || mechanism === "RelabelConfig") return false;
  if (mechanism === "RoleSelector") return true;
  throw spec.problem("has a selectorMechanism that is neither RelabelConfig nor RoleSelector");
}

/** A port as a monitor names it: by a number or by a name. */
export function targetPort(
  of: Fields,
): { readonly isName: boolean; readonly text: string } | undefined {
  const port = of.raw("targetPort");
  if (port === undefined || port === null) return undefined;
  if (typeof port === "string" && port !== "") return { isName: true, text: port };
  if (typeof port === "number") return { isName: false, text: String(port) };
  if (port === "") return undefined;
  throw of.problem("has a targetPort that is neither a name nor a number");
}
