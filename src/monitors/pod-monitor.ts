import type { Fields } from "../kubernetes/fields.ts";
import {
  honorLabels,
  honorTimestamps,
  kubernetesDiscovery,
  metricRules,
  scrapeKeys,
  targetPort,
  timing,
  usesRoleSelector,
} from "./common-keys.ts";
import {
  basicAuth,
  endpointAuthorization,
  jobAuthorization,
  jobTlsConfig,
  oauth2,
  proxy,
  textOf,
  unlessEmpty,
} from "./http-options.ts";
import type { JobMap, MonitorJob } from "./job.ts";
import { readSelector, selectorText } from "./label-selector.ts";
import { listMap } from "./params.ts";
import type { ScrapeClass } from "./prometheus-settings.ts";
import {
  constant,
  copy,
  copyIfSet,
  FIRST_RULE,
  keep,
  RUNNING_RULE,
  sanitize,
  selectorRules,
  userRules,
} from "./relabelings.ts";
import { optionalSecret, type Translation } from "./translation.ts";

/** The jobs of a PodMonitor: one for each endpoint. */
export function podMonitorJobs(spec: Fields, at: Translation): MonitorJob[] {
  const scrapeClass = at.settings.scrapeClass(spec, at);
  const selector = readSelector(spec.child("selector"));
  const usesRole = usesRoleSelector(spec);
  return spec.children("podMetricsEndpoints").map((endpoint, i) => ({
    job_name: `podMonitor/${at.namespace}/${at.name}/${i}`,
    honor_labels: honorLabels(endpoint.flag("honorLabels"), at),
    honor_timestamps: honorTimestamps(endpoint.optionalFlag("honorTimestamps"), at),
    track_timestamps_staleness: endpoint.optionalFlag("trackTimestampsStaleness"),
    ...timing(endpoint, { interval: "interval", timeout: "scrapeTimeout" }, at),
    metrics_path: textOf(endpoint, "path"),
    params: listMap(endpoint, "params"),
    scheme: textOf(endpoint, "scheme")?.toLowerCase(),
    follow_redirects: endpoint.optionalFlag("followRedirects"),
    enable_http2: endpoint.optionalFlag("enableHttp2"),
    tls_config: jobTlsConfig(unlessEmpty(endpoint, "tlsConfig"), scrapeClass, at),
    bearer_token: optionalSecret(endpoint, "bearerTokenSecret", at),
    basic_auth: basicAuth(endpoint, at),
    oauth2: oauth2(endpoint, at),
    ...proxy(endpoint, at),
    authorization: jobAuthorization(endpointAuthorization(endpoint), scrapeClass, at),
    ...scrapeKeys(spec, scrapeClass, at),
    ...at.settings.nameSchemes(undefined),
    body_size_limit: at.settings.bodySizeLimit(spec.text("bodySizeLimit")),
    kubernetes_sd_configs: kubernetesDiscovery(
      {
        role: "pod",
        namespaceSelector: spec.child("namespaceSelector"),
        attachesNode:
          spec.optionalChild("attachMetadata")?.flag("node") ?? scrapeClass?.attachesNode,
        selectors: usesRole ? [{ role: "pod", label: selectorText(selector) }] : undefined,
      },
      at,
    ),
    relabel_configs: [
      ...((endpoint.optionalFlag("filterRunning") ?? true)
        ? [FIRST_RULE, RUNNING_RULE]
        : [FIRST_RULE]),
      ...(usesRole ? [] : selectorRules(selector, "pod")),
      ...relabelings({ spec, endpoint, scrapeClass }, at),
    ],
    metric_relabel_configs: metricRules(endpoint, { kind: "PodMonitor", scrapeClass }, at),
  }));
}

function relabelings(
  of: {
    readonly spec: Fields;
    readonly endpoint: Fields;
    readonly scrapeClass: ScrapeClass | undefined;
  },
  at: Translation,
): JobMap[] {
  const { spec, endpoint } = of;
  const port = endpoint.text("port");
  const target = targetPort(endpoint);
  const label = spec.text("jobLabel");
  const shown = port || target?.text;
  return [
    ...portRules(endpoint),
    copy("__meta_kubernetes_namespace", "namespace"),
    copy("__meta_kubernetes_pod_container_name", "container"),
    copy("__meta_kubernetes_pod_name", "pod"),
    ...[...spec.texts("podTargetLabels"), ...at.settings.podTargetLabels].map((one) =>
      copyIfSet(`__meta_kubernetes_pod_label_${sanitize(one)}`, sanitize(one)),
    ),
    constant("job", `${at.namespace}/${at.name}`),
    ...(label === "" ? [] : [copyIfSet(`__meta_kubernetes_pod_label_${sanitize(label)}`, "job")]),
    ...(shown === undefined ? [] : [constant("endpoint", shown)]),
    ...(of.scrapeClass?.relabelings ?? []),
    ...userRules(endpoint, "relabelings"),
    ...at.settings.enforcedRules("PodMonitor", at),
  ];
}

/** Keeps the port that the endpoint names by name, by number, or in the older way. */
function portRules(endpoint: Fields): JobMap[] {
  const name = "__meta_kubernetes_pod_container_port_name";
  const number = "__meta_kubernetes_pod_container_port_number";
  const port = endpoint.text("port");
  const portNumber = endpoint.number("portNumber") ?? 0;
  const target = targetPort(endpoint);
  if (port !== "") return [keep(name, port)];
  if (portNumber !== 0) return [keep(number, String(portNumber))];
  if (target === undefined || target.text === "0") return [];
  return [keep(target.isName ? name : number, target.text)];
}
