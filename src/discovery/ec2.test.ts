import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { parseConfig } from "../config/load.ts";
import type { Ec2Discovery } from "../config/types.ts";
import { FLEET, instance, IPV6_ONLY } from "./ec2-fleet.fixture.ts";
import { FakeAws } from "./ec2.fixture.ts";
import { createEc2 } from "./ec2.ts";
import { addressesOf, TestReports, testContext } from "./test-reports.ts";

function configOf(section: string, options: string): Ec2Discovery {
  const { scrapeConfigs } = parseConfig(
    `scrape_configs: [{job_name: a, ${section}: [{${options}}]}]`,
    { path: "p.yml", baseFolder: "/" },
  );
  const [config] = scrapeConfigs[0]!.serviceDiscovery;
  assert(config?.kind === "ec2");
  return config;
}

async function startAws(t: TestContext): Promise<FakeAws> {
  const aws = new FakeAws();
  await aws.start();
  t.after(() => aws.stop());
  return aws;
}

const KEYS = "access_key: AKID, secret_key: s3cr/et";

/** The mechanism at work, without pauses. */
function discover(
  t: TestContext,
  aws: FakeAws,
  options: string,
  environment: Record<string, string> = {},
) {
  const clock = {
    ...systemClock,
    sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(Math.min(ms, 5), signal),
  };
  const context = { ...testContext(), clock, environment };
  const config = configOf("ec2_sd_configs", `endpoint: "${aws.url}", ${options}`);
  return { reports: TestReports.run(t, createEc2(config, context)), context };
}

test("every label of an instance", async (t) => {
  const aws = await startAws(t);
  aws.instances = [...FLEET, IPV6_ONLY];
  aws.zones = { "eu-west-1a": "euw1-az2" };
  const { reports } = discover(t, aws, `region: eu-west-1, port: 9100, ${KEYS}`);
  const { groups, errors } = await reports.next();
  assert.deepEqual(errors, []);
  assert.equal(groups?.length, 1);
  const [group] = groups;
  assert.equal(group!.source, "eu-west-1");
  const common = {
    __meta_ec2_region: "eu-west-1",
    __meta_ec2_owner_id: "123456789012",
    __meta_ec2_ami: "ami-1",
    __meta_ec2_availability_zone: "eu-west-1a",
    __meta_ec2_availability_zone_id: "euw1-az2",
    __meta_ec2_instance_state: "running",
    __meta_ec2_instance_type: "m5.large",
    __meta_ec2_architecture: "x86_64",
  };
  const { __meta_ec2_availability_zone_id: _id, ...withoutId } = common;
  assert.deepEqual(group!.targets, [
    {
      ...common,
      __address__: "10.0.0.1:9100",
      __meta_ec2_instance_id: "i-full",
      __meta_ec2_default_ipv6_address: "2001:db8::3",
      __meta_ec2_private_ip: "10.0.0.1",
      __meta_ec2_private_dns_name: "ip-10-0-0-1.internal",
      __meta_ec2_platform: "windows",
      __meta_ec2_public_ip: "198.51.100.1",
      __meta_ec2_public_dns_name: "ec2-198-51-100-1.example",
      __meta_ec2_primary_ipv6_addresses: ",,,2001:db8::3,",
      __meta_ec2_ipv6_addresses: ",2001:db8::1,2001:db8::2,2001:db8::3,",
      __meta_ec2_instance_lifecycle: "spot",
      __meta_ec2_vpc_id: "vpc-1",
      __meta_ec2_primary_subnet_id: "subnet-a",
      __meta_ec2_subnet_id: ",subnet-a,subnet-b,",
      __meta_ec2_tag_Name: "web & <db>",
      __meta_ec2_tag_team_gr__e: "x",
    },
    {
      ...common,
      __address__: "10.0.0.2:9100",
      __meta_ec2_instance_id: "i-plain",
      __meta_ec2_private_ip: "10.0.0.2",
      __meta_ec2_tag_Name: "plain",
    },
    {
      ...withoutId,
      __address__: "10.0.0.3:9100",
      __meta_ec2_instance_id: "i-other-zone",
      __meta_ec2_private_ip: "10.0.0.3",
      __meta_ec2_availability_zone: "eu-west-1b",
      __meta_ec2_tag_Name: "plain",
    },
    {
      ...common,
      __address__: "[2001:db8::9]:9100",
      __meta_ec2_instance_id: "i-ipv6",
      __meta_ec2_default_ipv6_address: "2001:db8::9",
      __meta_ec2_primary_ipv6_addresses: ",2001:db8::9,",
      __meta_ec2_ipv6_addresses: ",2001:db8::9,",
      __meta_ec2_vpc_id: "vpc-1",
      __meta_ec2_primary_subnet_id: "subnet-c",
      __meta_ec2_subnet_id: ",subnet-c,",
      __meta_ec2_tag_Name: "plain",
    },
  ]);
});

test("all pages, filtered by AWS", async (t) => {
  const aws = await startAws(t);
  aws.instances = Array.from({ length: 25 }, (_, i) =>
    instance(`i-${i}`, {
      privateIpAddress: `10.0.0.${i}`,
      tagSet: [{ key: "a b", value: i % 2 === 0 ? "x y" : "z" }],
    }),
  );
  aws.pageSize = 4;
  const { reports } = discover(
    t,
    aws,
    `region: us-east-1, ${KEYS}, filters: [{name: "tag:a b", values: ["x y", "+&"]}, {name: instance-state-name, values: [running]}]`,
  );
  const finding = await reports.next();
  assert.equal(finding.groups![0]!.targets.length, 13);
  assert.equal(addressesOf(finding)[0], "10.0.0.0:80");
  const pages = aws.requests.filter(({ form }) => form.get("Action") === "DescribeInstances");
  assert.deepEqual(
    pages.slice(0, 4).map(({ form }) => form.get("NextToken")),
    [null, "4", "8", "12"],
  );
  const { form, region, service, agent } = pages[0]!;
  assert.deepEqual([region, service, agent], ["us-east-1", "ec2", "test"]);
  assert.equal(form.get("Filter.1.Value.2"), "+&");
  assert.equal(form.get("Version"), "2016-11-15");
});

test("a failing answer keeps the list and says what AWS says", async (t) => {
  const aws = await startAws(t);
  aws.instances = [FLEET[1]!];
  const { reports, context } = discover(t, aws, `region: r, ${KEYS}`);
  await reports.addresses(["10.0.0.2:80"]);
  aws.refuse = (action) =>
    action === "DescribeInstances" ? [403, "UnauthorizedOperation"] : undefined;
  const failed = await reports.next(({ errors }) => errors.length > 0);
  assert.equal(failed.groups, undefined);
  assert.deepEqual(failed.errors, [
    "could not describe instances: UnauthorizedOperation: as the test wants it",
  ]);
  aws.refuse = () => [200, "", "<html><body>sign in</body></html>"];
  await reports.next(({ errors }) => String(errors).includes("the answer has no list"));
  aws.refuse = () => [200, "", "oops"];
  await reports.next(({ errors }) => String(errors).includes("it is not XML"));
  aws.refuse = () => [418, "", "teapot"];
  await reports.next(({ errors }) => String(errors).includes("server returned HTTP status 418"));
  aws.refuse = () => undefined;
  assert.deepEqual((await reports.addresses(["10.0.0.2:80"])).errors, []);
  assert.match(
    context.registry.expose(),
    /prometheus_sd_refresh_failures_total\{mechanism="ec2"\} [1-9]/,
  );
});

test("AWS asking to come again is no failure, unless it goes on", async (t) => {
  const aws = await startAws(t);
  aws.instances = [FLEET[1]!];
  let refusals = 2;
  aws.refuse = (action) =>
    action === "DescribeInstances" && refusals-- > 0 ? [503, "RequestLimitExceeded"] : undefined;
  const { reports } = discover(t, aws, `region: r, ${KEYS}`);
  assert.deepEqual((await reports.next()).errors, []);
  aws.refuse = (action) => (action === "DescribeInstances" ? [502, "", "bad gateway"] : undefined);
  const { errors } = await reports.next((finding) => finding.errors.length > 0);
  assert.match(errors[0]!, /ServiceUnavailable: 502 Bad Gateway/);
});

test("without the right to ask for zones there are targets without their ids", async (t) => {
  const aws = await startAws(t);
  aws.instances = [FLEET[1]!];
  aws.zones = { "eu-west-1a": "euw1-az2" };
  aws.refuse = (action) =>
    action === "DescribeAvailabilityZones" ? [403, "UnauthorizedOperation"] : undefined;
  const { reports } = discover(t, aws, `region: r, ${KEYS}`);
  const zoneId = "__meta_ec2_availability_zone_id";
  const first = await reports.next();
  assert.equal(first.groups![0]!.targets[0]![zoneId], undefined);
  aws.refuse = () => undefined;
  await reports.next(({ groups }) => groups![0]!.targets[0]![zoneId] === "euw1-az2");
});

test("wrong keys are refused, and the secret is in no message", async (t) => {
  const aws = await startAws(t);
  const { reports } = discover(t, aws, "region: r, access_key: AKID, secret_key: hunter2");
  const { errors } = await reports.next();
  assert.deepEqual(errors, ["could not describe instances: AuthFailure: the signature is wrong"]);
});

test("keys of the environment, with a session", async (t) => {
  const aws = await startAws(t);
  aws.keys.set("ASIA", { secret: "t", sessionToken: "session/+=" });
  aws.instances = [FLEET[1]!];
  const { reports } = discover(t, aws, "region: ''", {
    AWS_REGION: "eu-north-1",
    AWS_ACCESS_KEY_ID: "ASIA",
    AWS_SECRET_ACCESS_KEY: "t",
    AWS_SESSION_TOKEN: "session/+=",
  });
  const { groups, errors } = await reports.next();
  assert.deepEqual(errors, []);
  assert.equal(groups![0]!.source, "eu-north-1");
  assert.equal(aws.requests[0]!.region, "eu-north-1");
});

test("a role is assumed with its external id, once for its time", async (t) => {
  const aws = await startAws(t);
  aws.keys.set("ROLE", { secret: "r", sessionToken: "rt" });
  aws.role = { arn: "arn:aws:iam::1:role/scrape", externalId: "x-1", key: "ROLE" };
  aws.instances = [FLEET[1]!];
  const role = `role_arn: "arn:aws:iam::1:role/scrape"`;
  const environment = { AWS_ENDPOINT_URL_STS: aws.url };
  const { reports } = discover(
    t,
    aws,
    `region: r, ${KEYS}, ${role}, external_id: x-1`,
    environment,
  );
  await reports.addresses(["10.0.0.2:80"]);
  await reports.addresses(["10.0.0.2:80"]);
  const assumed = aws.requests.filter(({ service }) => service === "sts");
  assert.equal(assumed.length, 1);
  // When the role's credentials are refused it is assumed anew.
  aws.keys.set("ROLE", { secret: "other", sessionToken: "rt2" });
  await reports.next(({ errors }) => String(errors).includes("AuthFailure"));
  await reports.addresses(["10.0.0.2:80"]);
  const refused = discover(t, aws, `region: r, ${KEYS}, ${role}`, environment).reports;
  assert.deepEqual((await refused.next()).errors, [
    "could not describe instances: AccessDenied: not that role",
  ]);
});

/** Variables of the process itself: AWS's own chain reads no others. */
function setEnvironment(t: TestContext, variables: Record<string, string>): void {
  const before = { ...process.env };
  for (const name of Object.keys(process.env))
    if (name.startsWith("AWS_")) delete process.env[name];
  Object.assign(process.env, variables);
  t.after(() => {
    for (const name of Object.keys(variables)) delete process.env[name];
    Object.assign(process.env, before);
  });
}

test("a profile of the shared files gives keys and region", async (t) => {
  const aws = await startAws(t);
  aws.instances = [FLEET[1]!];
  const folder = mkdtempSync(join(tmpdir(), "shoal-aws-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const files = {
    AWS_SHARED_CREDENTIALS_FILE: join(folder, "credentials"),
    AWS_CONFIG_FILE: join(folder, "config"),
  };
  writeFileSync(
    files.AWS_SHARED_CREDENTIALS_FILE,
    "[other]\naws_access_key_id = X\naws_secret_access_key = Y\n[ops]\naws_access_key_id = AKID\naws_secret_access_key = s3cr/et\n",
  );
  writeFileSync(files.AWS_CONFIG_FILE, "[profile ops]\nregion = ap-south-1\n");
  setEnvironment(t, { ...files, AWS_EC2_METADATA_DISABLED: "true" });
  // The profile wins over keys of the environment.
  const environment = { AWS_ACCESS_KEY_ID: "X", AWS_SECRET_ACCESS_KEY: "Y" };
  const { reports } = discover(t, aws, "profile: ops", environment);
  const { groups, errors } = await reports.next();
  assert.deepEqual(errors, []);
  assert.equal(groups![0]!.source, "ap-south-1");
});

test("the machine's own metadata gives region and credentials", async (t) => {
  const aws = await startAws(t);
  aws.instances = [FLEET[1]!];
  aws.machineRegion = "sa-east-1";
  aws.machineKey = "MACHINE";
  aws.keys.set("MACHINE", { secret: "m", sessionToken: "mt" });
  const variables = {
    AWS_EC2_METADATA_SERVICE_ENDPOINT: aws.url,
    AWS_SHARED_CREDENTIALS_FILE: "/nonexistent/credentials",
    AWS_CONFIG_FILE: "/nonexistent/config",
  };
  setEnvironment(t, variables);
  const { reports } = discover(t, aws, "port: 1", variables);
  const { groups, errors } = await reports.next();
  assert.deepEqual(errors, []);
  assert.equal(groups![0]!.source, "sa-east-1");
  aws.machineRegion = "";
  const without = discover(t, aws, "port: 2", variables).reports;
  assert.deepEqual((await without.next()).errors, [
    "could not determine AWS region: set region (instance metadata answered 404)",
  ]);
});

test("aws_sd_configs with the role ec2 are the same, with the same defaults", () => {
  const options = `region: r, ${KEYS}, role_arn: a, external_id: e, filters: [{name: n, values: [v]}]`;
  const viaEc2 = configOf("ec2_sd_configs", options);
  const viaAws = configOf("aws_sd_configs", `role: ec2, ${options}`);
  assert.deepEqual({ ...viaAws, httpClient: undefined }, { ...viaEc2, httpClient: undefined });
  assert.equal(viaAws.port, 80);
  assert.equal(viaAws.refreshIntervalMs, 60_000);
  const other = configOf("aws_sd_configs", "role: ec2, port: 9, refresh_interval: 1s");
  assert.deepEqual([other.port, other.refreshIntervalMs], [9, 1000]);
});
