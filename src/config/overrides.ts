import { DEFAULT_PROTO_FIRST_PROTOCOLS, DEFAULT_SCRAPE_PROTOCOLS } from "./scrape.ts";
import { Secret } from "./secret.ts";
import { CA_FILE, movedClientConfig, TOKEN_FILE } from "./service-account.ts";
import type { Config, DiscoveryConfig, HttpClientConfig, KubernetesDiscovery } from "./types.ts";

/**
 * What the place where a program runs changes in a parsed configuration. The text, which is what is hashed and handed on,
 * stays the operator's.
 */
export interface Overrides {
  /** Every scrape goes through this proxy; "" leaves each job its own. */
  readonly scrapeProxy: string;
  /** Where the service account's files are instead of Kubernetes's usual place; "" leaves paths alone. */
  readonly serviceAccountPath: string;
  /** The API server of `kubernetes_sd_configs` that name none, and the proxy to it; "" for the cluster it runs in. */
  readonly kubernetesUrl?: string;
  readonly kubernetesProxy?: string;
  /** Jobs for which no `scrape_protocols` are written ask for protobuf first. */
  readonly protobufFirst?: boolean;
}

/** Tells a proxy of all scrapes which one the job would have used. */
const ORIGIN_PROXY = "Origin-Proxy";

/** `config` as it is scraped and discovered here. */
export function applyOverrides(config: Config, overrides: Overrides): Config {
  const { scrapeProxy, serviceAccountPath, kubernetesUrl = "", protobufFirst = false } = overrides;
  if (scrapeProxy === "" && serviceAccountPath === "" && kubernetesUrl === "" && !protobufFirst)
    return config;
  return {
    ...config,
    scrapeConfigs: config.scrapeConfigs.map((job) => ({
      ...job,
      scrapeProtocols:
        protobufFirst && job.scrapeProtocols === DEFAULT_SCRAPE_PROTOCOLS
          ? DEFAULT_PROTO_FIRST_PROTOCOLS
          : job.scrapeProtocols,
      httpClient: overrideClient(job.httpClient, overrides),
      serviceDiscovery: job.serviceDiscovery.map((one) => overrideDiscovery(one, overrides)),
    })),
  };
}

/** A job's client as it scrapes here. */
export function overrideClient(client: HttpClientConfig, overrides: Overrides): HttpClientConfig {
  const { scrapeProxy, serviceAccountPath } = overrides;
  const moved = movedClientConfig(client, serviceAccountPath);
  return scrapeProxy === "" ? moved : throughProxy(moved, scrapeProxy);
}

function throughProxy(client: HttpClientConfig, proxy: string): HttpClientConfig {
  const { url, connectHeader } = client.proxy;
  const origin = url === "" ? undefined : [new Secret(url)];
  return {
    ...client,
    headers: {
      ...client.headers,
      ...(origin && { [ORIGIN_PROXY]: { values: [], secrets: origin, files: [] } }),
    },
    proxy: {
      url: proxy,
      noProxy: "",
      fromEnvironment: false,
      // Of a request that is tunnelled the proxy sees nothing but these.
      connectHeader: { ...connectHeader, ...(origin && { [ORIGIN_PROXY]: origin }) },
    },
  };
}

function overrideDiscovery(config: DiscoveryConfig, overrides: Overrides): DiscoveryConfig {
  if (config.kind === "kubernetes") return overrideKubernetes(config, overrides);
  if (config.kind !== "http") return config;
  const { proxy } = config.httpClient;
  if (overrides.scrapeProxy === "" || proxy.url !== "" || proxy.fromEnvironment) return config;
  return {
    ...config,
    httpClient: { ...config.httpClient, proxy: { ...proxy, url: overrides.scrapeProxy } },
  };
}

function overrideKubernetes(
  config: KubernetesDiscovery,
  overrides: Overrides,
): KubernetesDiscovery {
  const { kubernetesUrl = "", kubernetesProxy = "", serviceAccountPath } = overrides;
  if (kubernetesUrl === "" || config.apiServer !== "" || config.kubeconfigFile !== "")
    return config;
  const { httpClient } = config;
  return {
    ...config,
    apiServer: kubernetesUrl,
    httpClient: movedClientConfig(
      {
        ...(serviceAccountPath === "" ? httpClient : withAccount(httpClient)),
        proxy:
          kubernetesProxy === "" ? httpClient.proxy : { ...httpClient.proxy, url: kubernetesProxy },
      },
      serviceAccountPath,
    ),
  };
}

/** With the service account's files where nothing else is said. */
function withAccount(client: HttpClientConfig): HttpClientConfig {
  const { tls, authorization, basicAuth, oauth2 } = client;
  const isAnonymous =
    authorization === undefined && basicAuth === undefined && oauth2 === undefined;
  return {
    ...client,
    tls: tls.ca === "" && tls.caFile === "" ? { ...tls, caFile: CA_FILE } : tls,
    authorization: isAnonymous
      ? { type: "Bearer", credentials: Secret.NONE, credentialsFile: TOKEN_FILE }
      : authorization,
  };
}
