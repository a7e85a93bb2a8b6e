import type { Fields } from "../kubernetes/fields.ts";
import {
  honorTimestamps,
  kubernetesDiscovery,
  metricRules,
  scrapeKeys,
  timing,
} from "./common-keys.ts";
import {
  basicAuth,
  jobAuthorization,
  jobTlsConfig,
  oauth2,
  proxy,
  textOf,
  unlessEmpty,
} from "./http-options.ts";
import type { JobMap, MonitorJob } from "./job.ts";
import { readSelector } from "./label-selector.ts";
import { constant, copy, FIRST_RULE, selectorRules, userRules } from "./relabelings.ts";
import { optionalSecret, type Translation } from "./translation.ts";

/** The CRD's default, which the API server fills in. */
const DEFAULT_PROBE_PATH = "/probe";

/** The job of a Probe: what is probed goes to the prober as a parameter. */
export function probeJob(spec: Fields, at: Translation): MonitorJob {
  const scrapeClass = at.settings.scrapeClass(spec, at);
  const prober = spec.child("prober");
  const targets = spec.child("targets");
  const url = prober.text("url");
  if (!isAddress(url)) throw prober.problem("has a url that is not `host` or `host:port`");
  const { discovery, before, after } =
    staticTargets(targets, at) ?? ingressTargets(targets, at) ?? noTargets(targets);
  const jobName = spec.text("jobName");
  return {
    job_name: `probe/${at.namespace}/${at.name}`,
    honor_timestamps: honorTimestamps(true, at),
    metrics_path: prober.text("path") || DEFAULT_PROBE_PATH,
    ...timing(spec, { interval: "interval", timeout: "scrapeTimeout" }, at),
    scheme: textOf(prober, "scheme")?.toLowerCase(),
    params: parameters(spec),
    ...scrapeKeys(spec, scrapeClass, at),
    ...at.settings.nameSchemes(undefined),
    body_size_limit: at.settings.bodySizeLimit(""),
    ...proxy(prober, at),
    follow_redirects: spec.optionalFlag("followRedirects"),
    enable_http2: spec.optionalFlag("enableHttp2"),
    tls_config: jobTlsConfig(unlessEmpty(spec, "tlsConfig"), scrapeClass, at),
    bearer_token: optionalSecret(spec, "bearerTokenSecret", at),
    basic_auth: basicAuth(spec, at),
    oauth2: oauth2(spec, at),
    authorization: jobAuthorization(unlessEmpty(spec, "authorization"), scrapeClass, at),
    ...discovery,
    relabel_configs: [
      FIRST_RULE,
      ...(jobName === "" ? [] : [constant("job", jobName)]),
      ...before,
      copy("__param_target", "instance"),
      constant("__address__", url),
      ...(scrapeClass?.relabelings ?? []),
      ...after,
      ...at.settings.enforcedRules("Probe", at),
    ],
    metric_relabel_configs: metricRules(spec, { kind: "Probe", scrapeClass }, at),
  };
}

/** What is probed: how it is found, and the rules before and after those that put the prober in its place. */
interface ProbeTargets {
  readonly discovery: JobMap;
  readonly before: readonly JobMap[];
  readonly after: readonly JobMap[];
}

/** Takes precedence over `ingress`. */
function staticTargets(targets: Fields, at: Translation): ProbeTargets | undefined {
  const config = targets.optionalChild("staticConfig");
  if (config === undefined) return undefined;
  const labels = { namespace: at.namespace, ...config.textMap("labels") };
  return {
    discovery: { static_configs: [{ targets: config.texts("static"), labels }] },
    before: [copy("__address__", "__param_target")],
    after: userRules(config, "relabelingConfigs"),
  };
}

function ingressTargets(targets: Fields, at: Translation): ProbeTargets | undefined {
  const ingress = targets.optionalChild("ingress");
  if (ingress === undefined) return undefined;
  const namespaceSelector = ingress.child("namespaceSelector");
  return {
    discovery: {
      kubernetes_sd_configs: kubernetesDiscovery({ role: "ingress", namespaceSelector }, at),
    },
    before: [
      ...selectorRules(readSelector(ingress.child("selector")), "ingress"),
      {
        source_labels: [
          "__meta_kubernetes_ingress_scheme",
          "__address__",
          "__meta_kubernetes_ingress_path",
        ],
        regex: "(.+);(.+);(.+)",
        target_label: "__param_target",
        replacement: "${1}://${2}${3}",
      },
      copy("__meta_kubernetes_namespace", "namespace"),
      copy("__meta_kubernetes_ingress_name", "ingress"),
      copy("__address__", "__tmp_ingress_address"),
    ],
    after: userRules(ingress, "relabelingConfigs"),
  };
}

function noTargets(targets: Fields): never {
  throw targets.problem("have neither staticConfig nor ingress");
}

/** `module` stands in a field of its own, which wins. */
function parameters(spec: Fields): JobMap | undefined {
  const module = spec.text("module");
  const parameters = Object.create(null) as Record<string, readonly string[]>;
  if (module !== "") parameters["module"] = [module];
  for (const one of spec.children("params"))
    if (module === "" || one.text("name") !== "module")
      parameters[one.text("name")] = one.texts("values");
  return Object.keys(parameters).length === 0 ? undefined : parameters;
}

const HOST =
  /^(?:[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)(?:\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9_])?)*\.?$/;
const IPV6 = /^[0-9a-fA-F:.]*:[0-9a-fA-F:.]*$/;

function isAddress(url: string): boolean {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(url);
  if (match === null) return HOST.test(url) || (url.includes("::") && IPV6.test(url));
  const port = Number(match[3]);
  const [, bracketed, host] = match;
  const isHost = bracketed === undefined ? HOST.test(host!) : IPV6.test(bracketed);
  return isHost && port >= 1 && port <= 65_535;
}
