import { toHttpClient } from "./http-client-config.ts";
import { checkHttpClient, httpClientFields } from "./http-client.ts";
import { list } from "./kind.ts";
import {
  filters,
  MINUTE_MS,
  need,
  portField,
  refreshField,
  role,
  shownRefreshField,
  shownText,
} from "./mechanism-fields.ts";
import { field, object, type Values } from "./object.ts";
import { duration, int, secret, text, urlText } from "./scalars.ts";
import { quote } from "../base/text.ts";
import type { DiscoveryConfig, Ec2Discovery } from "./types.ts";

/** Service discovery of cloud providers, A to L. Each schema is Prometheus's; nothing here asks a cloud. */

const awsCredentials = {
  access_key: field(text),
  secret_key: field(secret),
  profile: field(text),
  role_arn: field(text),
  external_id: field(text),
};

const AWS_ROLES = ["ec2", "ecs", "elasticache", "lightsail", "msk", "rds"] as const;

export const aws = object(
  "an aws_sd config",
  {
    role: field(role(AWS_ROLES, "unknown AWS SD role"), { always: true }),
    region: field(text),
    endpoint: field(urlText),
    ...awsCredentials,
    refresh_interval: field(duration),
    port: field(int),
    ...httpClientFields,
    // Unlike everywhere else these two are off unless written.
    follow_redirects: field(httpClientFields.follow_redirects.kind, { always: true }),
    enable_http2: field(httpClientFields.enable_http2.kind, { always: true }),
    filters: field(filters),
    clusters: field(list(text)),
  },
  (values, at) => {
    if (values.role === "") at.fail("role", 'unknown AWS SD role ""');
  },
);

export const ec2 = object(
  "an ec2_sd config",
  {
    endpoint: shownText,
    region: shownText,
    ...awsCredentials,
    refresh_interval: refreshField,
    port: portField,
    filters: field(filters, { always: true }),
    ...httpClientFields,
  },
  (values, at) => {
    for (const [index, filter] of values.filters.entries())
      if (filter.values.length === 0)
        at.fail("filters", "EC2 SD configuration filter values cannot be empty", { index });
    return checkHttpClient(values, at);
  },
);

export function toEc2(values: Values<typeof ec2.fields>): Ec2Discovery {
  return {
    kind: "ec2",
    endpoint: values.endpoint,
    region: values.region,
    accessKey: values.access_key,
    secretKey: values.secret_key,
    profile: values.profile,
    roleArn: values.role_arn,
    externalId: values.external_id,
    port: values.port,
    filters: values.filters,
    refreshIntervalMs: values.refresh_interval,
    httpClient: toHttpClient(values),
  };
}

/** A section with the role ec2 is an `ec2_sd_config`, whose defaults stand for what is left out; the others are not run. */
export function toAws(values: Values<typeof aws.fields>): DiscoveryConfig {
  if (values.role !== "ec2") return { kind: "other", mechanism: "aws", options: values };
  return toEc2({
    ...ec2.defaults,
    ...values,
    port: values.port || ec2.defaults.port,
    refresh_interval: values.refresh_interval || ec2.defaults.refresh_interval,
  });
}

export const lightsail = object(
  "a lightsail_sd config",
  {
    endpoint: shownText,
    region: shownText,
    ...awsCredentials,
    refresh_interval: refreshField,
    port: portField,
    ...httpClientFields,
  },
  checkHttpClient,
);

const AZURE_METHODS = ["OAuth", "ManagedIdentity", "SDK", "WorkloadIdentity"] as const;

export const azure = object(
  "an azure_sd config",
  {
    environment: field(text, { default: "AzurePublicCloud" }),
    port: portField,
    subscription_id: shownText,
    tenant_id: field(text),
    client_id: field(text),
    client_secret: field(secret),
    refresh_interval: field(duration, { default: 5 * MINUTE_MS }),
    authentication_method: field(text, { default: "OAuth" }),
    resource_group: field(text),
    ...httpClientFields,
  },
  (values, at) => {
    const required = (key: string): string => `azure SD configuration requires a ${key}`;
    need(values, at, { subscription_id: required("subscription_id") });
    const method = values.authentication_method;
    if (method === "OAuth")
      need(values, at, {
        tenant_id: required("tenant_id"),
        client_id: required("client_id"),
        client_secret: required("client_secret"),
      });
    if (!AZURE_METHODS.some((known) => known === method))
      at.fail(
        "authentication_method",
        `unknown authentication_type ${quote(method)}. Supported types are "OAuth", "ManagedIdentity", "SDK" or "WorkloadIdentity"`,
      );
    return checkHttpClient(values, at);
  },
);

const DIGITALOCEAN_ROLES = ["droplets", "databases"] as const;

export const digitalocean = object(
  "a digitalocean_sd config",
  {
    ...httpClientFields,
    refresh_interval: shownRefreshField,
    port: portField,
    role: field(role(DIGITALOCEAN_ROLES, "unknown DigitalOcean SD role"), {
      default: "droplets",
      always: true,
    }),
  },
  (values, at) => {
    need(values, at, { role: "role missing (one of: droplets, databases)" });
    return checkHttpClient(values, at);
  },
);

export const gce = object(
  "a gce_sd config",
  {
    project: shownText,
    zone: shownText,
    filter: field(text),
    refresh_interval: refreshField,
    port: portField,
    tag_separator: field(text, { default: "," }),
  },
  (values, at) => {
    need(values, at, {
      project: "GCE SD configuration requires a project",
      zone: "GCE SD configuration requires a zone",
    });
  },
);

const HETZNER_ROLES = ["robot", "hcloud"] as const;

export const hetzner = object(
  "a hetzner_sd config",
  {
    ...httpClientFields,
    refresh_interval: shownRefreshField,
    port: portField,
    role: field(role(HETZNER_ROLES, "unknown role"), { always: true }),
    label_selector: field(text),
  },
  (values, at) => {
    need(values, at, { role: "role missing (one of: robot, hcloud)" });
    return checkHttpClient(values, at);
  },
);

export const ionos = object(
  "an ionos_sd config",
  {
    datacenter_id: shownText,
    ...httpClientFields,
    refresh_interval: shownRefreshField,
    port: portField,
  },
  (values, at) => {
    need(values, at, { datacenter_id: "datacenter id can't be empty" });
    return checkHttpClient(values, at);
  },
);

export const linode = object(
  "a linode_sd config",
  {
    ...httpClientFields,
    refresh_interval: shownRefreshField,
    port: portField,
    tag_separator: field(text, { default: "," }),
    region: field(text),
  },
  checkHttpClient,
);
