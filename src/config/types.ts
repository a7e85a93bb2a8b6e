import type { RelabelConfig } from "../model/relabel-config.ts";
import type { Secret } from "./secret.ts";

/**
 * The parsed prometheus.yml with all defaults filled in: what the rest of the program reads. Durations are ms, sizes
 * are bytes, 0 means "no limit". Names are the YAML keys in camelCase.
 */
export interface Config {
  readonly global: GlobalConfig;
  readonly ruleFiles: readonly string[];
  readonly scrapeConfigs: readonly ScrapeConfig[];
  readonly alerting: AlertingConfig;
  readonly storage: StorageConfig;
  readonly remoteWrites: readonly RemoteWriteConfig[];
  readonly remoteReads: readonly RemoteReadConfig[];
  readonly otlp: OtlpConfig;
  /** The file's text as read, for pushing it on and for hashing. */
  readonly source: string;
  /** What is shown instead of `source`, where that has values that only the shards may see. */
  readonly shownSource?: string;
  /** Absolute folder that relative paths in the file start from. */
  readonly baseFolder: string;
}

/** What of `storage` a running database follows. */
export interface StorageConfig {
  /** Samples may be so much older than the newest one of all; 0: each series in order. */
  readonly outOfOrderTimeWindowMs: number;
  /** Undefined where the file does not say. */
  readonly maxExemplars: number | undefined;
}

/** How OTLP's metrics become samples. */
export interface OtlpConfig {
  readonly promoteAllResourceAttributes: boolean;
  readonly promoteResourceAttributes: readonly string[];
  readonly ignoreResourceAttributes: readonly string[];
  readonly translationStrategy:
    | "UnderscoreEscapingWithSuffixes"
    | "UnderscoreEscapingWithoutSuffixes"
    | "NoUTF8EscapingWithSuffixes"
    | "NoTranslation";
  readonly keepIdentifyingResourceAttributes: boolean;
  readonly convertHistogramsToNhcb: boolean;
  readonly promoteScopeMetadata: boolean;
}

/** One entry of `remote_write`. */
export interface RemoteWriteConfig {
  readonly url: string;
  /** The URL without a password. */
  readonly shownUrl: string;
  /** "" when it has none. */
  readonly name: string;
  readonly message: "prometheus.WriteRequest" | "io.prometheus.write.v2.Request";
  readonly remoteTimeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly writeRelabelConfigs: readonly RelabelConfig[];
  readonly sendExemplars: boolean;
  readonly sendNativeHistograms: boolean;
  readonly httpClient: HttpClientConfig;
  /** The way of signing requests that is asked for and not there; "" for none. */
  readonly unsupported: string;
  readonly queue: {
    readonly capacity: number;
    readonly minShards: number;
    readonly maxShards: number;
    readonly maxSamplesPerSend: number;
    readonly batchSendDeadlineMs: number;
    readonly minBackoffMs: number;
    readonly maxBackoffMs: number;
    readonly retryOnHttp429: boolean;
    /** 0: no limit. */
    readonly sampleAgeLimitMs: number;
  };
  readonly metadata: {
    readonly send: boolean;
    readonly sendIntervalMs: number;
    readonly maxSamplesPerSend: number;
  };
  /** The same for entries that say the same, secrets included. */
  readonly fingerprint: string;
}

/** One entry of `remote_read`. */
export interface RemoteReadConfig {
  readonly url: string;
  /** The URL without a password. */
  readonly shownUrl: string;
  /** "" when it has none. */
  readonly name: string;
  readonly remoteTimeoutMs: number;
  /** Of one frame of a streamed answer. */
  readonly chunkedReadLimitBytes: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Asked for times that the local storage has, too. */
  readonly readRecent: boolean;
  /** Asked only by selectors that have each of these as an equality matcher. */
  readonly requiredMatchers: Readonly<Record<string, string>>;
  /** External labels become matchers, and are taken off the series that come. */
  readonly filterExternalLabels: boolean;
  readonly httpClient: HttpClientConfig;
  /** The same for entries that say the same, secrets included. */
  readonly fingerprint: string;
}

export interface GlobalConfig {
  readonly scrapeIntervalMs: number;
  readonly scrapeTimeoutMs: number;
  readonly evaluationIntervalMs: number;
  readonly ruleQueryOffsetMs: number;
  /** With `${VAR}` expanded. */
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly queryLogFile: string;
}

export type ScrapeProtocol =
  | "PrometheusProto"
  | "OpenMetricsText0.0.1"
  | "OpenMetricsText1.0.0"
  | "PrometheusText0.0.4"
  | "PrometheusText1.0.0";

export interface ScrapeConfig {
  readonly jobName: string;
  readonly scrapeIntervalMs: number;
  readonly scrapeTimeoutMs: number;
  readonly scrapeProtocols: readonly ScrapeProtocol[];
  readonly fallbackScrapeProtocol: ScrapeProtocol | "";
  readonly metricsPath: string;
  /** As written, `http` by default: what targets get as `__scheme__`, checked after relabelling. */
  readonly scheme: string;
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly honorLabels: boolean;
  readonly honorTimestamps: boolean;
  readonly trackTimestampsStaleness: boolean;
  readonly enableCompression: boolean;
  readonly bodySizeLimit: number;
  readonly sampleLimit: number;
  readonly targetLimit: number;
  readonly labelLimit: number;
  readonly labelNameLengthLimit: number;
  readonly labelValueLengthLimit: number;
  readonly keepDroppedTargets: number;
  readonly nativeHistogramBucketLimit: number;
  readonly nativeHistogramMinBucketFactor: number;
  readonly scrapeNativeHistograms: boolean;
  readonly convertClassicHistogramsToNhcb: boolean;
  readonly alwaysScrapeClassicHistograms: boolean;
  readonly extraScrapeMetrics: boolean;
  readonly metricNameValidationScheme: "utf8" | "legacy";
  readonly metricNameEscapingScheme: "allow-utf-8" | "underscores" | "dots" | "values";
  readonly relabelConfigs: readonly RelabelConfig[];
  readonly metricRelabelConfigs: readonly RelabelConfig[];
  readonly httpClient: HttpClientConfig;
  /** In file order. */
  readonly serviceDiscovery: readonly DiscoveryConfig[];
}

/** One service-discovery section, by mechanism. Mechanisms that only B and later run are kept as `other`. */
export type DiscoveryConfig =
  | { readonly kind: "static"; readonly groups: readonly StaticGroup[] }
  | { readonly kind: "file"; readonly files: readonly string[]; readonly refreshIntervalMs: number }
  | {
      readonly kind: "http";
      readonly url: string;
      readonly refreshIntervalMs: number;
      readonly httpClient: HttpClientConfig;
    }
  | {
      readonly kind: "dns";
      readonly names: readonly string[];
      readonly type: "A" | "AAAA" | "MX" | "NS" | "SRV";
      readonly port: number;
      readonly refreshIntervalMs: number;
    }
  | ConsulDiscovery
  | Ec2Discovery
  | KubernetesDiscovery
  | { readonly kind: "other"; readonly mechanism: string; readonly options: unknown };

/** `ec2_sd_configs`, and `aws_sd_configs` with the role ec2. */
export interface Ec2Discovery {
  readonly kind: "ec2";
  /** A URL or host; "" for the region's public one. */
  readonly endpoint: string;
  /** "" for the one that the environment or the machine says. */
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: Secret;
  readonly profile: string;
  readonly roleArn: string;
  readonly externalId: string;
  readonly port: number;
  readonly filters: readonly { readonly name: string; readonly values: readonly string[] }[];
  readonly refreshIntervalMs: number;
  readonly httpClient: HttpClientConfig;
}

export interface ConsulDiscovery {
  readonly kind: "consul";
  /** `host:port`, or a URL, whose path then goes before every other. */
  readonly server: string;
  readonly scheme: string;
  readonly pathPrefix: string;
  readonly token: Secret;
  readonly datacenter: string;
  readonly namespace: string;
  readonly partition: string;
  readonly tagSeparator: string;
  readonly allowStale: boolean;
  readonly refreshIntervalMs: number;
  /** Empty for all that the catalog lists. */
  readonly services: readonly string[];
  readonly tags: readonly string[];
  readonly nodeMeta: Readonly<Record<string, string>>;
  /** For the catalog's list of services. */
  readonly filter: string;
  /** For the instances of each service. */
  readonly healthFilter: string;
  /** `username` and `password` are its basic auth. */
  readonly httpClient: HttpClientConfig;
}

export interface KubernetesDiscovery {
  readonly kind: "kubernetes";
  readonly role: "pod" | "service" | "endpoints" | "endpointslice" | "node" | "ingress";
  /** "" for that of the kubeconfig file or of the cluster this program runs in. */
  readonly apiServer: string;
  /** Absolute; "" for none. */
  readonly kubeconfigFile: string;
  /** For `apiServer` only. */
  readonly httpClient: HttpClientConfig;
  readonly namespaces: { readonly ownNamespace: boolean; readonly names: readonly string[] };
  readonly selectors: readonly {
    readonly role: string;
    readonly label: string;
    readonly field: string;
  }[];
  readonly attachMetadata: KubernetesAttachMetadata;
}

export interface KubernetesAttachMetadata {
  readonly node: boolean;
  readonly namespace: boolean;
  readonly deployment: boolean;
  readonly job: boolean;
  readonly cronjob: boolean;
}

export interface StaticGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface AlertingConfig {
  readonly alertRelabelConfigs: readonly RelabelConfig[];
}

/** How to speak HTTP to a target, a discovery server or a remote storage. File paths are absolute. */
export interface HttpClientConfig {
  readonly basicAuth:
    | {
        readonly username: string;
        readonly usernameFile: string;
        readonly password: Secret;
        readonly passwordFile: string;
      }
    | undefined;
  readonly authorization:
    | { readonly type: string; readonly credentials: Secret; readonly credentialsFile: string }
    | undefined;
  readonly oauth2: OAuth2Config | undefined;
  readonly tls: TlsConfig;
  readonly followRedirects: boolean;
  readonly enableHttp2: boolean;
  readonly proxy: ProxyConfig;
  readonly headers: Readonly<
    Record<
      string,
      {
        readonly values: readonly string[];
        readonly secrets: readonly Secret[];
        readonly files: readonly string[];
      }
    >
  >;
}

export interface OAuth2Config {
  readonly clientId: string;
  readonly clientSecret: Secret;
  readonly clientSecretFile: string;
  readonly scopes: readonly string[];
  readonly tokenUrl: string;
  readonly endpointParams: Readonly<Record<string, string>>;
  readonly tls: TlsConfig;
  readonly proxy: ProxyConfig;
}

export interface TlsConfig {
  readonly ca: string;
  readonly caFile: string;
  readonly cert: string;
  readonly certFile: string;
  readonly key: Secret;
  readonly keyFile: string;
  readonly serverName: string;
  readonly insecureSkipVerify: boolean;
  readonly minVersion: TlsVersion | "";
  readonly maxVersion: TlsVersion | "";
}

export type TlsVersion = "TLS10" | "TLS11" | "TLS12" | "TLS13";

export interface ProxyConfig {
  readonly url: string;
  readonly noProxy: string;
  readonly fromEnvironment: boolean;
  readonly connectHeader: Readonly<Record<string, readonly Secret[]>>;
}
