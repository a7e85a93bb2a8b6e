import type { FakeInstance } from "./ec2.fixture.ts";

/** An instance with the least that EC2 says of every one. */
export function instance(id: string, more: FakeInstance = {}): FakeInstance {
  return {
    instanceId: id,
    imageId: "ami-1",
    instanceState: { code: "16", name: "running" },
    privateDnsName: "",
    dnsName: "",
    instanceType: "m5.large",
    placement: { availabilityZone: "eu-west-1a" },
    architecture: "x86_64",
    tagSet: [],
    ...more,
  };
}

/** Instances that between them have everything that becomes a label. */
export const FLEET: readonly FakeInstance[] = [
  instance("i-full", {
    privateIpAddress: "10.0.0.1",
    privateDnsName: "ip-10-0-0-1.internal",
    ipAddress: "198.51.100.1",
    dnsName: "ec2-198-51-100-1.example",
    platform: "windows",
    instanceLifecycle: "spot",
    vpcId: "vpc-1",
    subnetId: "subnet-a",
    networkInterfaceSet: [
      networkInterface("subnet-a", "0", [["2001:db8::1", "false"]]),
      networkInterface("subnet-b", "2", [
        ["2001:db8::2", "false"],
        ["2001:db8::3", "true"],
      ]),
      networkInterface("subnet-a", "1", []),
    ],
    tagSet: [
      { key: "Name", value: "web & <db>" },
      { key: "team/größe", value: "x" },
      { key: "empty", value: "" },
    ],
  }),
  instance("i-plain", { privateIpAddress: "10.0.0.2", tagSet: [{ key: "Name", value: "plain" }] }),
  instance("i-terminated", { instanceState: { code: "48", name: "terminated" } }),
  instance("i-other-zone", {
    privateIpAddress: "10.0.0.3",
    placement: { availabilityZone: "eu-west-1b" },
    tagSet: [{ key: "Name", value: "plain" }],
  }),
];

export const IPV6_ONLY = instance("i-ipv6", {
  vpcId: "vpc-1",
  subnetId: "subnet-c",
  networkInterfaceSet: [networkInterface("subnet-c", "0", [["2001:db8::9", "true"]])],
  tagSet: [{ key: "Name", value: "plain" }],
});

function networkInterface(
  subnetId: string,
  deviceIndex: string,
  addresses: readonly [address: string, isPrimary: string][],
): FakeInstance {
  return {
    subnetId,
    attachment: { deviceIndex },
    ipv6AddressesSet: addresses.map(([ipv6Address, isPrimaryIpv6]) => ({
      ipv6Address,
      isPrimaryIpv6,
    })),
  };
}
