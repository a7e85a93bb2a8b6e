import { AppError } from "../base/errors.ts";
import { parseSize } from "../base/units.ts";
import { Fields } from "../kubernetes/fields.ts";
import { authorization, textOf, tlsConfig } from "./http-options.ts";
import type { JobMap } from "./job.ts";
import { type LabelSelector, readSelector } from "./label-selector.ts";
import { userRules } from "./relabelings.ts";
import { ADDITIONAL, MONITOR_KINDS, type MonitorKind, type Translation } from "./translation.ts";

/** Which resources of one kind are taken, and from which namespaces. */
export interface KindSelection {
  /** Undefined: none. */
  readonly objects: LabelSelector | undefined;
  /** Undefined: the Prometheus object's own namespace only. */
  readonly namespaces: LabelSelector | undefined;
}

/** The key of a limit in prometheus.yml, in a custom resource, and as the Prometheus object enforces it. */
const LIMITS = [
  ["sample_limit", "sampleLimit", "enforcedSampleLimit"],
  ["target_limit", "targetLimit", "enforcedTargetLimit"],
  ["label_limit", "labelLimit", "enforcedLabelLimit"],
  ["label_name_length_limit", "labelNameLengthLimit", "enforcedLabelNameLengthLimit"],
  ["label_value_length_limit", "labelValueLengthLimit", "enforcedLabelValueLengthLimit"],
  ["keep_dropped_targets", "keepDroppedTargets", "enforcedKeepDroppedTargets"],
] as const;

/** What resources may copy from a `scrapeClasses` entry. */
export interface ScrapeClass {
  readonly tls: JobMap | undefined;
  readonly authorization: JobMap | undefined;
  readonly relabelings: readonly JobMap[];
  readonly metricRelabelings: readonly JobMap[];
  readonly attachesNode: boolean | undefined;
  readonly fallbackProtocol: string | undefined;
}

/** The CRD's default, which the API server fills in. */
const DEFAULT_INTERVAL = "30s";

/** Fields that would change what is scraped or where it goes, and that prometheus.yml says instead. */
const LEFT_TO_PROMETHEUS_YML = [
  "additionalAlertManagerConfigs",
  "additionalAlertRelabelConfigs",
  "alerting",
  "apiserverConfig",
  "externalLabels",
  "otlp",
  "remoteRead",
  "remoteWrite",
  "ruleSelector",
  "scrapeFailureLogFile",
  "tracingConfig",
] as const;

/** What a `Prometheus` object says of scrape jobs. */
export class PrometheusSettings {
  readonly namespace: string;
  readonly selections: Readonly<Record<MonitorKind, KindSelection>>;
  readonly interval: string;
  /** Undefined: Prometheus's default. */
  readonly timeout: string | undefined;
  readonly protocols: readonly string[];
  readonly endpointsRole: "endpoints" | "endpointslice";
  readonly podTargetLabels: readonly string[];
  readonly overridesHonorLabels: boolean;
  readonly overridesHonorTimestamps: boolean;
  readonly ignoresNamespaceSelectors: boolean;
  readonly deniesFiles: boolean;
  /** `additionalScrapeConfigs`: where further jobs stand; undefined for nowhere. */
  readonly additional: unknown;
  /** Set fields that have no effect here. */
  readonly ignored: readonly string[];
  readonly #spec: Fields;
  readonly #version: readonly number[] | undefined;
  readonly #classes: ReadonlyMap<string, Fields>;
  readonly #defaultClass: Fields | undefined;

  /** Throws `bad-data` for an object that cannot be read. */
  constructor(object: { readonly namespace: string; readonly spec: unknown }) {
    const spec = new Fields(object.spec, "spec");
    this.#spec = spec;
    this.namespace = object.namespace;
    const selection = (key: string): KindSelection => ({
      objects: selectorAt(spec, `${key}Selector`),
      namespaces: selectorAt(spec, `${key}NamespaceSelector`),
    });
    this.selections = {
      ServiceMonitor: selection("serviceMonitor"),
      PodMonitor: selection("podMonitor"),
      Probe: selection("probe"),
      ScrapeConfig: selection("scrapeConfig"),
    };
    this.interval = spec.text("scrapeInterval") || DEFAULT_INTERVAL;
    this.timeout = textOf(spec, "scrapeTimeout");
    this.protocols = spec.texts("scrapeProtocols");
    this.endpointsRole = endpointsRole(spec) ?? "endpoints";
    this.podTargetLabels = spec.texts("podTargetLabels");
    this.overridesHonorLabels = spec.flag("overrideHonorLabels");
    this.overridesHonorTimestamps = spec.flag("overrideHonorTimestamps");
    this.ignoresNamespaceSelectors = spec.flag("ignoreNamespaceSelectors");
    this.deniesFiles = spec.child("arbitraryFSAccessThroughSMs").flag("deny");
    this.additional = spec.has(ADDITIONAL) ? spec.raw(ADDITIONAL) : undefined;
    this.ignored = LEFT_TO_PROMETHEUS_YML.filter((key) => spec.has(key));
    this.#version = versionOf(spec.text("version"));
    const classes = spec.children("scrapeClasses");
    this.#classes = new Map(classes.map((one) => [one.text("name"), one]));
    const defaults = classes.filter((one) => one.flag("default"));
    if (defaults.length > 1) throw spec.problem("has several default scrapeClasses");
    this.#defaultClass = defaults[0];
  }

  /** The kinds of which anything is selected. */
  get kinds(): readonly MonitorKind[] {
    return MONITOR_KINDS.filter((kind) => this.selections[kind].objects !== undefined);
  }

  /** Whether the Prometheus that the object asks for has what came with `version`; without a version it is the newest. */
  isAtLeast(version: string): boolean {
    const known = this.#version;
    if (known === undefined) return true;
    const wanted = versionOf(version) ?? [];
    const differs = wanted.findIndex((part, i) => part !== known[i]);
    return differs === -1 || (known[differs] ?? 0) > wanted[differs]!;
  }

  /** The limits of a job whose resource is `of`: its own, under the enforced ones, or those of all jobs. */
  limits(of: Fields): JobMap {
    const limits: Record<string, number | undefined> = {};
    for (const [key, field, enforcedField] of LIMITS) {
      const enforced = this.#spec.number(enforcedField) || Infinity;
      const limit = Math.min(of.number(field) || this.#spec.number(field) || Infinity, enforced);
      if (limit !== Infinity) limits[key] = limit;
    }
    return limits;
  }

  /** `body_size_limit`, likewise; probes have none of their own. */
  bodySizeLimit(own: string): string | undefined {
    const enforced = this.#spec.text("enforcedBodySizeLimit");
    const isTooLarge = own !== "" && enforced !== "" && parseSize(own) > parseSize(enforced);
    const limit = isTooLarge ? enforced : own || enforced;
    const isLimit = limit !== "" && parseSize(limit) > 0;
    return (isLimit ? limit : this.#spec.text("bodySizeLimit") || enforced) || undefined;
  }

  /** `metric_name_validation_scheme` and `…_escaping_scheme` of a job, with what they imply for each other in Prometheus. */
  nameSchemes(of: Fields | undefined): JobMap {
    const own = lower(of, "nameValidationScheme");
    const common = lower(this.#spec, "nameValidationScheme");
    const ownEscaping = escaping(of);
    const implied = common === "legacy" ? "underscores" : undefined;
    return {
      metric_name_validation_scheme: own ?? common,
      metric_name_escaping_scheme:
        ownEscaping ?? (own === "utf8" ? "allow-utf-8" : (escaping(this.#spec) ?? implied)),
    };
  }

  /** The keys about histograms, where the Prometheus has them: a resource's, or those of all jobs. */
  histograms(of: Fields): JobMap {
    const flag = (key: string, sinceGlobal: string): boolean | undefined =>
      of.optionalFlag(key) ??
      (this.isAtLeast(sinceGlobal) ? this.#spec.optionalFlag(key) : undefined);
    const native = flag("scrapeNativeHistograms", "3.8");
    return {
      scrape_native_histograms: this.isAtLeast("3.8") ? native : undefined,
      native_histogram_bucket_limit: of.number("nativeHistogramBucketLimit"),
      native_histogram_min_bucket_factor: quantity(of, "nativeHistogramMinBucketFactor"),
      always_scrape_classic_histograms: flag("scrapeClassicHistograms", "3.5"),
      convert_classic_histograms_to_nhcb: flag("convertClassicHistogramsToNHCB", "3.4"),
    };
  }

  /** The scrape class that a resource names, or the default one. Throws `bad-data` for a name that there is not. */
  scrapeClass(of: Fields, at: Translation): ScrapeClass | undefined {
    const name = of.text("scrapeClass");
    const found = name === "" ? this.#defaultClass : this.#classes.get(name);
    if (found === undefined) {
      if (name === "") return undefined;
      throw of.problem(`names the scrapeClass ${JSON.stringify(name)}, which the Prometheus lacks`);
    }
    const here = { ...at, namespace: this.namespace };
    return {
      tls: tlsConfig(found.optionalChild("tlsConfig"), here),
      authorization: authorization(found.optionalChild("authorization"), here),
      relabelings: userRules(found, "relabelings"),
      metricRelabelings: userRules(found, "metricRelabelings"),
      attachesNode: found.optionalChild("attachMetadata")?.flag("node"),
      fallbackProtocol: textOf(found, "fallbackScrapeProtocol"),
    };
  }

  /** The rule that ends a resource's rules where the object enforces a namespace label; none for those it excludes. */
  enforcedRules(kind: MonitorKind, { namespace, name }: Translation): readonly JobMap[] {
    const label = this.#spec.text("enforcedNamespaceLabel");
    if (label === "") return [];
    const isExcluded = this.#spec
      .children("excludedFromEnforcement")
      .some(
        (one) =>
          one.text("namespace") === namespace &&
          ["", "monitoring.coreos.com"].includes(one.text("group")) &&
          one.text("resource") === `${kind.toLowerCase()}s` &&
          ["", name].includes(one.text("name")),
      );
    return isExcluded ? [] : [{ target_label: label, replacement: namespace }];
  }
}

/** `serviceDiscoveryRole`; undefined when it is not set. */
export function endpointsRole(of: Fields): "endpoints" | "endpointslice" | undefined {
  const role = of.text("serviceDiscoveryRole").toLowerCase();
  if (role === "" || role === "endpoints" || role === "endpointslice") return role || undefined;
  throw of.problem("has a serviceDiscoveryRole that is neither Endpoints nor EndpointSlice");
}

function selectorAt(spec: Fields, key: string): LabelSelector | undefined {
  const selector = spec.optionalChild(key);
  return selector && readSelector(selector);
}

function lower(of: Fields | undefined, key: string): string | undefined {
  return of?.text(key).toLowerCase() || undefined;
}

const ESCAPINGS: Readonly<Record<string, string>> = {
  AllowUTF8: "allow-utf-8",
  Underscores: "underscores",
  Dots: "dots",
  Values: "values",
};

function escaping(of: Fields | undefined): string | undefined {
  const name = of?.text("nameEscapingScheme") ?? "";
  return name === "" ? undefined : (ESCAPINGS[name] ?? name);
}

/** A Kubernetes quantity without a unit or in thousandths, as factors are written. */
function quantity(of: Fields, key: string): number | undefined {
  const text = of.text(key);
  if (text === "") return undefined;
  const match = /^([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(m?)$/.exec(text);
  if (match === null) throw of.problem(`has a ${key} that is not a plain number`);
  return Number(match[1]) / (match[2] === "m" ? 1000 : 1);
}

/** `v3.5.0-rc.1` as its numbers; undefined for "". */
function versionOf(text: string): readonly number[] | undefined {
  if (text === "") return undefined;
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?/.exec(text);
  if (match === null) throw new AppError("bad-data", `it has a version that is none: ${text}`);
  return match.slice(1, 4).map((part) => Number(part ?? 0));
}
