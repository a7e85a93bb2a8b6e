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
} from "./http-options.ts";
import type { JobMap, MonitorJob } from "./job.ts";
import { readSelector, selectorText } from "./label-selector.ts";
import { listMap } from "./params.ts";
import { endpointsRole, type ScrapeClass } from "./prometheus-settings.ts";
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

/** The jobs of a ServiceMonitor: one for each endpoint. */
export function serviceMonitorJobs(spec: Fields, at: Translation): MonitorJob[] {
  const scrapeClass = at.settings.scrapeClass(spec, at);
  return spec
    .children("endpoints")
    .map((endpoint, i) => endpointJob({ spec, endpoint, scrapeClass, i }, at));
}

interface Endpoint {
  readonly spec: Fields;
  readonly endpoint: Fields;
  readonly scrapeClass: ScrapeClass | undefined;
  readonly i: number;
}

function endpointJob(of: Endpoint, at: Translation): MonitorJob {
  const { spec, endpoint, scrapeClass } = of;
  if (at.settings.deniesFiles) refuseFiles(endpoint);
  const role = endpointsRole(spec) ?? at.settings.endpointsRole;
  const label = selectorText(readSelector(spec.child("selector")));
  return {
    job_name: `serviceMonitor/${at.namespace}/${at.name}/${of.i}`,
    honor_labels: honorLabels(endpoint.flag("honorLabels"), at),
    honor_timestamps: honorTimestamps(endpoint.optionalFlag("honorTimestamps"), at),
    track_timestamps_staleness: endpoint.optionalFlag("trackTimestampsStaleness"),
    ...timing(endpoint, { interval: "interval", timeout: "scrapeTimeout" }, at),
    metrics_path: textOf(endpoint, "path"),
    params: listMap(endpoint, "params"),
    scheme: textOf(endpoint, "scheme")?.toLowerCase(),
    follow_redirects: endpoint.optionalFlag("followRedirects"),
    enable_http2: endpoint.optionalFlag("enableHttp2"),
    ...proxy(endpoint, at),
    oauth2: oauth2(endpoint, at),
    tls_config: jobTlsConfig(endpoint.optionalChild("tlsConfig"), scrapeClass, at),
    bearer_token_file: textOf(endpoint, "bearerTokenFile"),
    bearer_token: optionalSecret(endpoint, "bearerTokenSecret", at),
    basic_auth: basicAuth(endpoint, at),
    authorization: jobAuthorization(endpointAuthorization(endpoint), scrapeClass, at),
    ...scrapeKeys(spec, scrapeClass, at),
    ...at.settings.nameSchemes(undefined),
    body_size_limit: at.settings.bodySizeLimit(spec.text("bodySizeLimit")),
    kubernetes_sd_configs: kubernetesDiscovery(
      {
        role,
        namespaceSelector: spec.child("namespaceSelector"),
        attachesNode:
          spec.optionalChild("attachMetadata")?.flag("node") ?? scrapeClass?.attachesNode,
        selectors: usesRoleSelector(spec)
          ? [role, "service"].map((one) => ({ role: one, label }))
          : undefined,
      },
      at,
    ),
    relabel_configs: relabelings(of, role, at),
    metric_relabel_configs: metricRules(endpoint, { kind: "ServiceMonitor", scrapeClass }, at),
  };
}

function relabelings(
  { spec, endpoint, scrapeClass }: Endpoint,
  role: string,
  at: Translation,
): JobMap[] {
  const prefix =
    role === "endpointslice" ? "__meta_kubernetes_endpointslice" : "__meta_kubernetes_endpoint";
  const port = endpoint.text("port");
  const target = targetPort(endpoint);
  const rules = [FIRST_RULE];
  if (!usesRoleSelector(spec))
    rules.push(...selectorRules(readSelector(spec.child("selector")), "service"));
  if (port !== "") rules.push(keep(`${prefix}_port_name`, port));
  else if (target !== undefined && target.text !== "0")
    rules.push(
      keep(
        `__meta_kubernetes_pod_container_port_${target.isName ? "name" : "number"}`,
        target.text,
      ),
    );
  const kindAndName = [`${prefix}_address_target_kind`, `${prefix}_address_target_name`];
  for (const kind of ["Node", "Pod"])
    rules.push({
      source_labels: kindAndName,
      separator: ";",
      regex: `${kind};(.*)`,
      replacement: "${1}",
      target_label: kind.toLowerCase(),
    });
  rules.push(
    copy("__meta_kubernetes_namespace", "namespace"),
    copy("__meta_kubernetes_service_name", "service"),
    copy("__meta_kubernetes_pod_name", "pod"),
    copy("__meta_kubernetes_pod_container_name", "container"),
  );
  if (endpoint.optionalFlag("filterRunning") ?? true) rules.push(RUNNING_RULE);
  for (const label of spec.texts("targetLabels"))
    rules.push(copyIfSet(`__meta_kubernetes_service_label_${sanitize(label)}`, sanitize(label)));
  for (const label of [...spec.texts("podTargetLabels"), ...at.settings.podTargetLabels])
    rules.push(copyIfSet(`__meta_kubernetes_pod_label_${sanitize(label)}`, sanitize(label)));
  rules.push({ ...copy("__meta_kubernetes_service_name", "job"), replacement: "${1}" });
  const jobLabel = spec.text("jobLabel");
  if (jobLabel !== "")
    rules.push(copyIfSet(`__meta_kubernetes_service_label_${sanitize(jobLabel)}`, "job"));
  const shown = port || target?.text;
  if (shown !== undefined) rules.push(constant("endpoint", shown));
  return [
    ...rules,
    ...(scrapeClass?.relabelings ?? []),
    ...userRules(endpoint, "relabelings"),
    ...at.settings.enforcedRules("ServiceMonitor", at),
  ];
}

/** `arbitraryFSAccessThroughSMs.deny`: whoever may write a ServiceMonitor must not send the shards' files about. */
function refuseFiles(endpoint: Fields): void {
  const tls = endpoint.child("tlsConfig");
  const files = [
    endpoint.text("bearerTokenFile"),
    ...["caFile", "certFile", "keyFile"].map((key) => tls.text(key)),
  ];
  if (files.some((file) => file !== ""))
    throw endpoint.problem(
      "names files, which the Prometheus denies (arbitraryFSAccessThroughSMs)",
    );
}
