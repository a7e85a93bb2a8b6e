import { createHash, createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** One instance as a test describes it: elements of EC2's answer, nested ones as objects, lists as arrays. */
export type FakeInstance = { readonly [element: string]: XmlValue };
type XmlValue = string | readonly XmlValue[] | { readonly [element: string]: XmlValue };

export interface FakeKey {
  readonly secret: string;
  readonly sessionToken?: string;
}

export interface FakeAwsRequest {
  readonly service: string;
  readonly region: string;
  readonly form: URLSearchParams;
  readonly agent: string;
}

/**
 * EC2, the token service and the instance metadata of one machine, for tests. Every question must be signed as AWS wants
 * it (Signature Version 4, checked here from its description and by the signatures of Prometheus). Listens on loopback.
 */
export class FakeAws {
  /** By access key. */
  readonly keys = new Map<string, FakeKey>([["AKID", { secret: "s3cr/et" }]]);
  instances: readonly FakeInstance[] = [];
  zones: Readonly<Record<string, string>> = {};
  pageSize = 1000;
  /** Role, external id and the key that assuming it gives. */
  role: { readonly arn: string; readonly externalId: string; readonly key: string } | undefined;
  /** What the instance metadata says, and whether only with a token of its second version. */
  machineRegion = "";
  machineKey = "";
  /** Answers instead when it gives a status, an AWS error code and a message, or a whole page. */
  refuse: (action: string) => readonly [status: number, code: string, page?: string] | undefined =
    () => undefined;
  readonly requests: FakeAwsRequest[] = [];
  readonly #server = createServer((request, response) => this.#take(request, response));

  async start(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
  }

  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #take(request: IncomingMessage, response: ServerResponse): void {
    if (request.url?.startsWith("/latest/")) return this.#answerMachine(request, response);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => this.#answer(request, response, Buffer.concat(chunks).toString()));
  }

  #answerMachine(request: IncomingMessage, response: ServerResponse): void {
    const path = request.url!.slice("/latest/".length);
    if (request.method === "PUT" && path === "api/token") {
      const isAsked = request.headers["x-aws-ec2-metadata-token-ttl-seconds"] !== undefined;
      response.writeHead(isAsked ? 200 : 400).end("metadata-token");
      return;
    }
    const role = "meta-data/iam/security-credentials";
    const key = this.keys.get(this.machineKey);
    const answers: Record<string, string | undefined> = {
      "meta-data/placement/region": this.machineRegion || undefined,
      [`${role}/`]: key && "machine-role",
      [`${role}/machine-role`]:
        key &&
        JSON.stringify({
          Code: "Success",
          AccessKeyId: this.machineKey,
          SecretAccessKey: key.secret,
          Token: key.sessionToken,
          Expiration: new Date(Date.now() + 3_600_000).toISOString(),
        }),
    };
    const isTrusted = request.headers["x-aws-ec2-metadata-token"] === "metadata-token";
    const found = isTrusted ? answers[path] : undefined;
    if (found === undefined) response.writeHead(isTrusted ? 404 : 401).end();
    else response.end(found);
  }

  #answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const form = new URLSearchParams(body);
    const action = form.get("Action") ?? "";
    const signed = checkSignature(request, body, this.keys);
    const send = (status: number, xml: string): void => {
      response.writeHead(status, { "content-type": "text/xml;charset=UTF-8" });
      response.end(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`);
    };
    if (typeof signed === "string") return send(401, errorOf("AuthFailure", signed));
    this.requests.push({ ...signed, form, agent: request.headers["user-agent"] ?? "" });
    const refused = this.refuse(action);
    if (refused !== undefined) {
      const [status, code, page] = refused;
      return send(status, page ?? errorOf(code, "as the test wants it"));
    }
    switch (action) {
      case "DescribeInstances":
        return send(200, this.#describeInstances(form));
      case "DescribeAvailabilityZones":
        return send(200, this.#describeZones());
      case "AssumeRole":
        return this.#assumeRole(form, send);
    }
    send(400, errorOf("InvalidAction", action));
  }

  #describeInstances(form: URLSearchParams): string {
    const found = this.instances.filter((instance) => isWanted(instance, form));
    const start = Number(form.get("NextToken") ?? 0);
    const end = start + this.pageSize;
    const list = found.slice(start, end).map((instance) => ({
      ownerId: "123456789012",
      instancesSet: [instance],
    }));
    const next = end < found.length ? { nextToken: String(end) } : {};
    return `<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${xmlOf({ reservationSet: list, ...next })}</DescribeInstancesResponse>`;
  }

  #describeZones(): string {
    const list = Object.entries(this.zones).map(([zoneName, zoneId]) => ({ zoneName, zoneId }));
    return `<DescribeAvailabilityZonesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">${xmlOf({ availabilityZoneInfo: list })}</DescribeAvailabilityZonesResponse>`;
  }

  #assumeRole(form: URLSearchParams, send: (status: number, xml: string) => void): void {
    const { role } = this;
    const key = this.keys.get(role?.key ?? "");
    const isRight =
      role?.arn === form.get("RoleArn") && role.externalId === (form.get("ExternalId") ?? "");
    if (
      !isRight ||
      key === undefined ||
      !/^[\w+=,.@-]{2,64}$/.test(form.get("RoleSessionName") ?? "")
    )
      return send(
        403,
        `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not that role</Message></Error></ErrorResponse>`,
      );
    const credentials = {
      AccessKeyId: role.key,
      SecretAccessKey: key.secret,
      SessionToken: key.sessionToken ?? "",
      Expiration: new Date(Date.now() + 900_000).toISOString(),
    };
    send(
      200,
      `<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>${xmlOf({ Credentials: credentials })}</AssumeRoleResult></AssumeRoleResponse>`,
    );
  }
}

/** Filters as EC2 has them, of the two kinds that tests use. */
function isWanted(instance: FakeInstance, form: URLSearchParams): boolean {
  for (let i = 1; form.has(`Filter.${i}.Name`); i++) {
    const name = form.get(`Filter.${i}.Name`)!;
    const values: string[] = [];
    for (let j = 1; form.has(`Filter.${i}.Value.${j}`); j++)
      values.push(form.get(`Filter.${i}.Value.${j}`)!);
    const tags = (instance["tagSet"] ?? []) as readonly { key: string; value: string }[];
    const value = name.startsWith("tag:")
      ? tags.find(({ key }) => key === name.slice(4))?.value
      : (instance["instanceState"] as { name: string }).name;
    if (value === undefined || !values.includes(value)) return false;
  }
  return true;
}

function errorOf(code: string, message: string): string {
  return `<Response><Errors><Error>${xmlOf({ Code: code, Message: message })}</Error></Errors><RequestID>r</RequestID></Response>`;
}

function xmlOf(value: XmlValue): string {
  if (typeof value === "string")
    return value.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  if (Array.isArray(value))
    return value.map((item: XmlValue) => `<item>${xmlOf(item)}</item>`).join("");
  return Object.entries(value)
    .map(([name, child]: [string, XmlValue]) => {
      const inner = xmlOf(child);
      return inner === "" ? `<${name}/>` : `<${name}>${inner}</${name}>`;
    })
    .join("\n");
}

/** What the signature is for, or why it is wrong. */
function checkSignature(
  request: IncomingMessage,
  body: string,
  keys: ReadonlyMap<string, FakeKey>,
): { service: string; region: string } | string {
  const header = request.headers.authorization ?? "";
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/([^/]+)\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})$/.exec(
      header,
    );
  if (parts === null) return "AWS was not able to validate the provided access credentials";
  const [, id, day, region, service, names, signature] = parts as unknown as string[];
  const key = keys.get(id!);
  const time = String(request.headers["x-amz-date"]);
  const signedNames = names!.split(";");
  if (key === undefined) return `unknown key ${id}`;
  if (
    !time.startsWith(day!) ||
    !signedNames.includes("host") ||
    !signedNames.includes("x-amz-date")
  )
    return "the signature is not of this request";
  if ((request.headers["x-amz-security-token"] ?? "") !== (key.sessionToken ?? ""))
    return "the session token is wrong";
  if (key.sessionToken !== undefined && !signedNames.includes("x-amz-security-token"))
    return "the session token is not signed";
  const age =
    Date.now() - Date.parse(time.replace(/^(....)(..)(..)T(..)(..)(..)Z$/, "$1-$2-$3T$4:$5:$6Z"));
  if (Math.abs(age) > 300_000) return "the signature is too old";
  const canonical = [
    request.method,
    request.url,
    "",
    ...signedNames.map((name) => `${name}:${String(request.headers[name] ?? "").trim()}`),
    "",
    names,
    sha256(body),
  ].join("\n");
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", time, scope, sha256(canonical)].join("\n");
  const signingKey = [day!, region!, service!, "aws4_request"].reduce<Buffer>(
    (secret, part) => createHmac("sha256", secret).update(part).digest(),
    Buffer.from(`AWS4${key.secret}`),
  );
  const want = createHmac("sha256", signingKey).update(toSign).digest("hex");
  return want === signature ? { service: service!, region: region! } : "the signature is wrong";
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
