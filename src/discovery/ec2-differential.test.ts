import assert from "node:assert/strict";
import { test } from "node:test";
import { partPath, skipWithoutParts } from "../../test/support/processes.ts";
import { FLEET, instance, IPV6_ONLY } from "./ec2-fleet.fixture.ts";
import { FakeAws, type FakeAwsRequest } from "./ec2.fixture.ts";
import { comparedConfig, DiscoveryComparison, type LabelMap } from "./prometheus.fixture.ts";

test("Prometheus and we find the same at one EC2", { skip: skipWithoutParts() }, async (t) => {
  // AWS's variables of this machine are not for the Prometheus beside us.
  for (const name of Object.keys(process.env))
    if (name.startsWith("AWS_")) delete process.env[name];
  const aws = new FakeAws();
  await aws.start();
  t.after(() => aws.stop());
  aws.instances = [...FLEET, IPV6_ONLY];
  aws.zones = { "eu-west-1a": "euw1-az2" };
  aws.pageSize = 2;
  const compared = await DiscoveryComparison.start(t, {
    config: comparedConfig(
      "ec2",
      `endpoint: "${aws.url}", region: eu-west-1, access_key: AKID, secret_key: s3cr/et, port: 9100, refresh_interval: 1s,
       filters: [{name: "tag:Name", values: [plain, "web & <db>"]}]`,
    ),
    golden: "ec2.json",
    older: { program: partPath("prometheus"), adapt: asPrometheus35 },
  });
  await compared.same("first list", (found) => ids(found) === "i-full,i-ipv6,i-other-zone,i-plain");
  if (compared.isLive) {
    const isOurs = ({ agent }: FakeAwsRequest): boolean => agent.startsWith("Shoal/");
    const theirs = aws.requests.filter((request) => !isOurs(request));
    assert.deepEqual(questions(aws.requests.filter(isOurs)), questions(theirs));
  }
  aws.instances = [
    instance("i-plain", {
      privateIpAddress: "10.0.0.7",
      tagSet: [{ key: "Name", value: "plain" }],
    }),
    instance("i-new", { privateIpAddress: "10.0.0.8", tagSet: [{ key: "Name", value: "plain" }] }),
  ];
  await compared.same("additions, changes and removals", (found) => ids(found) === "i-new,i-plain");
});

/** Prometheus 3.5, the one among the parts, leaves out instances that have IPv6 addresses only. */
function asPrometheus35(found: readonly LabelMap[]): readonly LabelMap[] {
  return found
    .filter((labels) => labels["__meta_ec2_private_ip"] !== undefined)
    .map(({ __meta_ec2_default_ipv6_address: _address, ...labels }) => labels);
}

function ids(found: readonly LabelMap[]): string {
  return found
    .map((labels) => labels["__meta_ec2_instance_id"] ?? "")
    .sort()
    .join();
}

/** The different forms sent, each as sorted text. */
function questions(requests: readonly FakeAwsRequest[]): string[] {
  const sent = requests.map(({ form }) =>
    [...form]
      .map(([name, value]) => `${name}=${value}`)
      .sort()
      .join("&"),
  );
  return [...new Set(sent)].sort();
}
