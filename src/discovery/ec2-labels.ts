import type { XmlElement } from "./aws-query.ts";
import { joinHostPort, sanitizeLabelName } from "./meta-labels.ts";

/** The labels of one instance, or undefined for one without an address, which is stopped or gone. */
export function ec2Labels(
  instance: XmlElement,
  context: {
    readonly ownerId: string | undefined;
    readonly region: string;
    readonly port: number;
    /** Zone ids by zone name. */
    readonly zoneIds: ReadonlyMap<string, string>;
  },
): Record<string, string> | undefined {
  const addresses = ipv6Addresses(instance);
  const privateIp = instance.text("privateIpAddress");
  const address = privateIp ?? addresses.default;
  if (address === undefined) return undefined;
  const labels: Record<string, string> = { __address__: joinHostPort(address, context.port) };
  const set = (name: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") labels[`__meta_ec2_${name}`] = value;
  };
  set("instance_id", instance.text("instanceId"));
  set("region", context.region);
  set("owner_id", context.ownerId);
  set("default_ipv6_address", addresses.default);
  set("private_ip", privateIp);
  set("private_dns_name", instance.text("privateDnsName"));
  set("platform", instance.text("platform"));
  const publicIp = instance.text("ipAddress");
  set("public_ip", publicIp);
  if (publicIp !== undefined) set("public_dns_name", instance.text("dnsName"));
  set("primary_ipv6_addresses", listText(addresses.primary));
  set("ipv6_addresses", listText(addresses.all));
  set("ami", instance.text("imageId"));
  const zone = instance.child("placement").text("availabilityZone") ?? "";
  set("availability_zone", zone);
  set("availability_zone_id", context.zoneIds.get(zone));
  set("instance_state", instance.child("instanceState").text("name"));
  set("instance_type", instance.text("instanceType"));
  set("instance_lifecycle", instance.text("instanceLifecycle"));
  set("architecture", instance.text("architecture"));
  const vpc = instance.text("vpcId");
  if (vpc !== undefined) {
    set("vpc_id", vpc);
    set("primary_subnet_id", instance.text("subnetId"));
    labels["__meta_ec2_subnet_id"] = `,${subnets(instance).join(",")},`;
  }
  for (const tag of instance.items("tagSet")) {
    const key = tag.text("key");
    if (key !== undefined) set(`tag_${sanitizeLabelName(key)}`, tag.text("value"));
  }
  return labels;
}

/** Each once, in the order of the interfaces. */
function subnets(instance: XmlElement): string[] {
  const found = instance.items("networkInterfaceSet").map((each) => each.text("subnetId"));
  return [...new Set(found.filter((subnet) => subnet !== undefined))];
}

function ipv6Addresses(instance: XmlElement): {
  all: string[];
  /** At the index of their interface; places of interfaces without one are empty. */
  primary: string[];
  default: string | undefined;
} {
  const all: string[] = [];
  const primary: string[] = [];
  if (instance.text("vpcId") !== undefined)
    for (const card of instance.items("networkInterfaceSet")) {
      if (card.text("subnetId") === undefined) continue;
      for (const each of card.items("ipv6AddressesSet")) {
        const address = each.text("ipv6Address") ?? "";
        all.push(address);
        if (each.text("isPrimaryIpv6") !== "true") continue;
        const index = Number(card.child("attachment").text("deviceIndex") ?? 0);
        while (primary.length <= index) primary.push("");
        primary[index] = address;
      }
    }
  return { all, primary, default: [...primary, ...all].find((address) => address !== "") };
}

function listText(values: readonly string[]): string | undefined {
  return values.length === 0 ? undefined : `,${values.join(",")},`;
}
