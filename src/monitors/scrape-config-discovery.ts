import type { Fields } from "../kubernetes/fields.ts";
import { discoveryClient, listOf, proxy, textOf, tlsConfig } from "./http-options.ts";
import type { JobMap } from "./job.ts";
import { optionalSecret, type Translation } from "./translation.ts";

/** The discovery sections of a ScrapeConfig that Shoal can run, by field. */
const SECTIONS: Readonly<
  Record<string, { readonly key: string; readonly read: (of: Fields, at: Translation) => JobMap }>
> = {
  staticConfigs: { key: "static_configs", read: staticConfig },
  fileSDConfigs: { key: "file_sd_configs", read: fileConfig },
  httpSDConfigs: { key: "http_sd_configs", read: httpConfig },
  kubernetesSDConfigs: { key: "kubernetes_sd_configs", read: kubernetesConfig },
  consulSDConfigs: { key: "consul_sd_configs", read: consulConfig },
  dnsSDConfigs: { key: "dns_sd_configs", read: dnsConfig },
  ec2SDConfigs: { key: "ec2_sd_configs", read: ec2Config },
};

/** How a ScrapeConfig's targets are found. Throws `bad-data`, naming them, for mechanisms that there are not here. */
export function scrapeConfigDiscovery(spec: Fields, at: Translation): JobMap {
  const unknown = spec
    .keys()
    .filter((key) => key.endsWith("SDConfigs") && !Object.hasOwn(SECTIONS, key))
    .filter((key) => spec.children(key).length > 0);
  if (unknown.length > 0)
    throw spec.problem(`uses ${unknown.join(", ")}, which Shoal has no discovery for`);
  const found: Record<string, readonly JobMap[]> = {};
  for (const [field, { key, read }] of Object.entries(SECTIONS)) {
    const sections = spec.children(field);
    if (sections.length > 0) found[key] = sections.map((one) => read(one, at));
  }
  return found;
}

function staticConfig(of: Fields): JobMap {
  return { targets: of.texts("targets"), labels: of.textMap("labels") };
}

function fileConfig(of: Fields): JobMap {
  return { files: of.texts("files"), ...refresh(of) };
}

function httpConfig(of: Fields, at: Translation): JobMap {
  return { ...discoveryClient(of, at), url: of.text("url"), ...refresh(of) };
}

function kubernetesConfig(of: Fields, at: Translation): JobMap {
  const role = of.text("role").toLowerCase();
  const apiServer = textOf(of, "apiServer");
  const namespaces = of.optionalChild("namespaces");
  const attached = of.optionalChild("attachMetadata");
  const canAttach = ["pod", "endpoints", "endpointslice"].includes(role);
  return {
    ...discoveryClient(of, at),
    role,
    api_server: apiServer,
    kubeconfig_file: apiServer === undefined ? at.kubeconfigFile || undefined : undefined,
    namespaces: namespaces && {
      names: namespaces.texts("names"),
      own_namespace: namespaces.optionalFlag("ownNamespace"),
    },
    selectors: of.children("selectors").map((one) => ({
      role: one.text("role").toLowerCase(),
      label: textOf(one, "label"),
      field: textOf(one, "field"),
    })),
    attach_metadata: attached && canAttach ? { node: attached.flag("node") } : undefined,
  };
}

function consulConfig(of: Fields, at: Translation): JobMap {
  if (of.text("healthFilter") !== "" && !at.settings.isAtLeast("3.11.2"))
    throw of.problem("has a healthFilter, which the Prometheus's version has not");
  return {
    ...discoveryClient(of, at),
    server: of.text("server"),
    path_prefix: textOf(of, "pathPrefix"),
    token: optionalSecret(of, "tokenRef", at),
    datacenter: textOf(of, "datacenter"),
    namespace: textOf(of, "namespace"),
    partition: textOf(of, "partition"),
    scheme: textOf(of, "scheme")?.toLowerCase(),
    services: listOf(of, "services"),
    tags: listOf(of, "tags"),
    tag_separator: of.has("tagSeparator") ? of.text("tagSeparator") : undefined,
    node_meta: of.textMap("nodeMeta"),
    filter: textOf(of, "filter"),
    health_filter: textOf(of, "healthFilter"),
    allow_stale: of.optionalFlag("allowStale"),
    ...refresh(of),
  };
}

function dnsConfig(of: Fields): JobMap {
  return {
    names: of.texts("names"),
    type: textOf(of, "type"),
    port: of.number("port"),
    ...refresh(of),
  };
}

function ec2Config(of: Fields, at: Translation): JobMap {
  const access = optionalSecret(of, "accessKey", at);
  const secret = optionalSecret(of, "secretKey", at);
  const hasBoth = access !== undefined && secret !== undefined;
  return {
    ...proxy(of, at),
    region: textOf(of, "region"),
    access_key: hasBoth ? access : undefined,
    secret_key: hasBoth ? secret : undefined,
    role_arn: textOf(of, "roleARN"),
    port: of.number("port"),
    filters: of
      .children("filters")
      .map((filter) => ({ name: filter.text("name"), values: filter.texts("values") }))
      .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)),
    follow_redirects: of.optionalFlag("followRedirects"),
    enable_http2: of.optionalFlag("enableHTTP2"),
    tls_config: tlsConfig(of.optionalChild("tlsConfig"), at),
    ...refresh(of),
  };
}

function refresh(of: Fields): JobMap {
  return { refresh_interval: textOf(of, "refreshInterval") };
}
