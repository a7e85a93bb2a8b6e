import { list, type Kind } from "./kind.ts";
import { field, map, object, type Values } from "./object.ts";
import { checkHttpClient, checkHttpUrl, httpClientFields } from "./http-client.ts";
import { toHttpClient } from "./http-client-config.ts";
import { checkedPath, duration, int, labelName, text, urlText } from "./scalars.ts";
import { quote } from "../base/text.ts";
import type { Where } from "./reader.ts";
import type { DiscoveryConfig } from "./types.ts";
import { MECHANISMS } from "./mechanisms.ts";
import { aws, ec2, toAws, toEc2 } from "./cloud-a-l.ts";
import { kubernetes, toKubernetes } from "./kubernetes.ts";
import { consul, toConsul } from "./registries.ts";

const SECOND = 1000;
const MINUTE = 60 * SECOND;

const staticGroup = object("a static config", {
  targets: field(list(text), { always: true }),
  labels: field(map(labelName, text)),
});

/** The contents of a file that `file_sd_configs` names. */
export const targetGroups = list(staticGroup, { nullMessage: "nil target group item found" });

const FILE_NAME = /^[^*]*(?:\*[^/]*)?\.(?:json|yml|yaml|JSON|YML|YAML)$/;

const file = object(
  "a file_sd config",
  {
    files: field(
      list(
        checkedPath((written) =>
          FILE_NAME.test(written)
            ? undefined
            : `path name ${quote(written)} is not valid for file discovery`,
        ),
      ),
      { always: true },
    ),
    refresh_interval: field(duration, { default: 5 * MINUTE }),
  },
  (values, at) => {
    if (values.files.length === 0)
      at.fail("files", "file service discovery config must contain at least one path name");
  },
);

const http = object(
  "an http_sd config",
  {
    ...httpClientFields,
    refresh_interval: field(duration, { default: MINUTE }),
    url: field(urlText, { always: true }),
  },
  (values, at) => {
    checkHttpUrl(values.url, at);
    return checkHttpClient(values, at);
  },
);

const DNS_TYPES = ["A", "AAAA", "MX", "NS", "SRV"] as const;

const dns = object(
  "a dns_sd config",
  {
    names: field(list(text), { always: true }),
    refresh_interval: field(duration, { default: 30 * SECOND }),
    type: field(text, { default: "SRV", always: true }),
    port: field(int, { always: true }),
  },
  (values, at) => {
    if (values.names.length === 0)
      at.fail("names", "DNS-SD config must contain at least one SRV record name");
    const type = dnsType(values.type);
    if (type === undefined)
      at.fail("type", `invalid DNS-SD records type ${values.type}`, {
        help: `write one of: ${DNS_TYPES.join(", ")}`,
      });
    else if (type !== "SRV" && values.port === 0)
      at.fail("port", "a port is required in DNS-SD configs for all record types except SRV");
  },
);

function dnsType(written: string): (typeof DNS_TYPES)[number] | undefined {
  return DNS_TYPES.find((type) => type === written.toUpperCase());
}

const others = Object.fromEntries(
  Object.entries(MECHANISMS).map(([name, kind]) => [
    `${name}_sd_configs`,
    field(section(`${name}_sd_configs`, kind)),
  ]),
) as Readonly<Record<string, ReturnType<typeof field<readonly unknown[]>>>>;

function section<T>(key: string, kind: Kind<T>): Kind<readonly T[]> {
  return list(kind, { nullMessage: `empty or null section in ${key}` });
}

const modelled = {
  static_configs: field(section("static_configs", staticGroup)),
  file_sd_configs: field(section("file_sd_configs", file)),
  http_sd_configs: field(section("http_sd_configs", http)),
  dns_sd_configs: field(section("dns_sd_configs", dns)),
  consul_sd_configs: field(section("consul_sd_configs", consul)),
  ec2_sd_configs: field(section("ec2_sd_configs", ec2)),
  aws_sd_configs: field(section("aws_sd_configs", aws)),
  kubernetes_sd_configs: field(section("kubernetes_sd_configs", kubernetes)),
};

/** The keys of every discovery mechanism, as a section that has targets holds them. Printed in order of name. */
export const discoveryFields = sortKeys({ ...others, ...modelled });

function sortKeys<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))) as T;
}

type DiscoveryValues = Values<typeof modelled> & Readonly<Record<string, unknown>>;

/** Targets must be addresses, unless relabelling may yet mend them. */
export function checkStaticTargets(values: DiscoveryValues, at: Where): void {
  for (const [index, group] of values.static_configs.entries())
    for (const target of group.targets)
      if (target.includes("/"))
        at.fail("static_configs", `${quote(target)} is not a valid hostname`, {
          index,
          help: "a target is host:port; the path goes into metrics_path and http or https into scheme",
        });
}

export function toDiscovery(values: DiscoveryValues): DiscoveryConfig[] {
  const found: DiscoveryConfig[] = [];
  if (values.static_configs.length > 0)
    found.push({ kind: "static", groups: values.static_configs });
  for (const one of values.file_sd_configs)
    found.push({ kind: "file", files: one.files, refreshIntervalMs: one.refresh_interval });
  for (const one of values.http_sd_configs)
    found.push({
      kind: "http",
      url: one.url,
      refreshIntervalMs: one.refresh_interval,
      httpClient: toHttpClient(one),
    });
  for (const one of values.dns_sd_configs)
    found.push({
      kind: "dns",
      names: one.names,
      type: dnsType(one.type) ?? "SRV",
      port: one.port,
      refreshIntervalMs: one.refresh_interval,
    });
  for (const one of values.consul_sd_configs) found.push(toConsul(one));
  for (const one of values.ec2_sd_configs) found.push(toEc2(one));
  for (const one of values.aws_sd_configs) found.push(toAws(one));
  for (const one of values.kubernetes_sd_configs) found.push(toKubernetes(one));
  for (const mechanism of Object.keys(MECHANISMS)) {
    const sections = values[`${mechanism}_sd_configs`];
    if (Array.isArray(sections))
      for (const options of sections as unknown[])
        found.push({ kind: "other", mechanism, options });
  }
  return found;
}
