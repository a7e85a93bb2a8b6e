import { AppError, messageOf } from "../base/errors.ts";
import type { Ec2Discovery } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import type { TargetGroup } from "../model/target.ts";
import { AwsCredentialSource } from "./aws-credentials.ts";
import { askAws, AwsError, type AwsService, type XmlElement } from "./aws-query.ts";
import { endpointOf, findRegion } from "./aws-region.ts";
import { ec2Labels } from "./ec2-labels.ts";
import type { MechanismContext } from "./mechanism.ts";

/** Pages of one list; at a thousand instances a page, far more than a region has. */
const MAX_PAGES = 10_000;

interface Ec2InstancesOptions {
  readonly config: Ec2Discovery;
  readonly context: MechanismContext;
  readonly client: HttpClient;
  /** Uses no proxy and sends no credentials. */
  readonly direct: HttpClient;
}

interface Access {
  readonly service: AwsService;
  readonly credentials: AwsCredentialSource;
}

/** Lists what DescribeInstances answers, all its pages. */
export class Ec2Instances {
  readonly #options: Ec2InstancesOptions;
  #access: Access | undefined;
  #zoneIds: ReadonlyMap<string, string> | undefined;

  constructor(options: Ec2InstancesOptions) {
    this.#options = options;
  }

  async list(signal: AbortSignal): Promise<TargetGroup> {
    const { config } = this.#options;
    this.#access ??= await this.#connect(signal);
    const { region } = this.#access.service;
    const zoneIds = (this.#zoneIds ??= await this.#findZoneIds(signal)) ?? new Map();
    const targets: Record<string, string>[] = [];
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES; page++) {
      const answer = await this.#page(token, signal);
      // Whoever else answers with XML is not to empty the list.
      if (!answer.has("reservationSet"))
        throw new AppError("bad-data", "could not describe instances: the answer has no list");
      for (const reservation of answer.items("reservationSet")) {
        const ownerId = reservation.text("ownerId");
        for (const instance of reservation.items("instancesSet")) {
          const labels = ec2Labels(instance, { ownerId, region, port: config.port, zoneIds });
          if (labels === undefined) continue;
          targets.push(labels);
          // A zone that is new: its id is asked for the next time.
          if (labels["__meta_ec2_availability_zone_id"] === undefined) this.#zoneIds = undefined;
        }
      }
      token = answer.text("nextToken");
      if (!token) return { source: region, labels: {}, targets };
    }
    throw new AppError(
      "resource-exhausted",
      `could not describe instances: over ${MAX_PAGES} pages`,
    );
  }

  async #connect(signal: AbortSignal): Promise<Access> {
    const { config, context, client, direct } = this.#options;
    const { environment, clock } = context;
    const { profile } = config;
    const region =
      config.region || (await findRegion({ profile, environment, client: direct, signal }));
    return {
      service: {
        name: "ec2",
        version: "2016-11-15",
        region,
        endpoint: endpointOf("ec2", region, { configured: config.endpoint, environment }),
      },
      credentials: new AwsCredentialSource({ ...config, region, environment, client, clock }),
    };
  }

  async #page(token: string | undefined, signal: AbortSignal): Promise<XmlElement> {
    const parameters: Record<string, string> = { Action: "DescribeInstances" };
    for (const [i, { name, values }] of this.#options.config.filters.entries()) {
      parameters[`Filter.${i + 1}.Name`] = name;
      for (const [j, value] of values.entries())
        parameters[`Filter.${i + 1}.Value.${j + 1}`] = value;
    }
    if (token !== undefined) parameters["NextToken"] = token;
    try {
      return await this.#ask(parameters, signal);
    } catch (error) {
      const refused = error instanceof AwsError && REFUSALS.has(error.awsCode);
      if (refused) this.#access?.credentials.forget();
      throw new AppError("unavailable", `could not describe instances: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /** Without the right to ask, targets go without zone ids. */
  async #findZoneIds(signal: AbortSignal): Promise<ReadonlyMap<string, string> | undefined> {
    try {
      const answer = await this.#ask({ Action: "DescribeAvailabilityZones" }, signal);
      const zones = answer
        .items("availabilityZoneInfo")
        .map((zone) => [zone.text("zoneName") ?? "", zone.text("zoneId") ?? ""] as const);
      return new Map(zones);
    } catch (error) {
      const { logger } = this.#options.context;
      logger.debug("cannot describe availability zones", { discovery: "ec2", error });
      return undefined;
    }
  }

  async #ask(parameters: Record<string, string>, signal: AbortSignal): Promise<XmlElement> {
    const { service, credentials } = this.#access!;
    const { client, context } = this.#options;
    return askAws(service, parameters, {
      client,
      clock: context.clock,
      credentials: await credentials.get(signal),
      signal,
    });
  }
}

/** AWS does not accept the credentials; others may be there by now. */
const REFUSALS = new Set([
  "AuthFailure",
  "ExpiredToken",
  "InvalidClientTokenId",
  "RequestExpired",
  "UnauthorizedOperation",
]);
