import { createHash, createHmac, type Hash, type Hmac } from "node:crypto";
import { parseXML } from "@aws-sdk/xml-builder";
import { SignatureV4 } from "@smithy/signature-v4";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { HttpClient } from "../http/client.ts";
import { readBytes } from "../http/read-body.ts";

const REQUEST_TIMEOUT_MS = 60_000;
/** A page of a thousand instances is about 8 MiB. */
const ANSWER_MAX_BYTES = 64 * 1024 * 1024;
const MAX_ATTEMPTS = 3;
const RETRY_MS = 1000;

/** Errors by which AWS asks to come again. */
const TRANSIENT = new Set([
  "InternalError",
  "InternalFailure",
  "RequestLimitExceeded",
  "RequestThrottled",
  "ServiceUnavailable",
  "Throttling",
  "ThrottlingException",
  "Unavailable",
]);

export interface AwsCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
  readonly expiration?: Date;
}

export interface AwsService {
  /** `ec2`, `sts`: what the signature is for. */
  readonly name: string;
  /** Of the service's interface, a date. */
  readonly version: string;
  readonly region: string;
  /** URL. */
  readonly endpoint: string;
}

/** What AWS answers with instead of a result. */
export class AwsError extends AppError {
  /** AWS's own, as `AuthFailure`. */
  readonly awsCode: string;

  constructor(awsCode: string, message: string) {
    super("unavailable", awsCode === "" ? message : `${awsCode}: ${message}`);
    this.awsCode = awsCode;
  }
}

/**
 * Asks a service with AWS's query interface: a form, signed (Signature Version 4); the answer is XML. Comes again twice
 * when AWS asks for it. Throws `AwsError` for what AWS answers.
 */
export async function askAws(
  service: AwsService,
  parameters: Readonly<Record<string, string>>,
  options: {
    client: HttpClient;
    clock: Clock;
    credentials: AwsCredentials;
    signal: AbortSignal;
  },
): Promise<XmlElement> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(service, parameters, options);
    if (!(answer instanceof AwsError)) return answer;
    if (!TRANSIENT.has(answer.awsCode) || attempt === MAX_ATTEMPTS) throw answer;
    await options.clock.sleep(attempt * RETRY_MS, options.signal);
  }
}

async function ask(
  service: AwsService,
  parameters: Readonly<Record<string, string>>,
  options: Parameters<typeof askAws>[2],
): Promise<XmlElement | AwsError> {
  const { client, clock, signal, credentials } = options;
  const url = new URL(service.endpoint);
  const body = new URLSearchParams({ Version: service.version, ...parameters }).toString();
  const signer = new SignatureV4({
    service: service.name,
    region: service.region,
    credentials,
    sha256: Sha256,
    applyChecksum: false,
  });
  const signed = await signer.sign(
    {
      method: "POST",
      protocol: url.protocol,
      hostname: url.hostname,
      path: url.pathname,
      query: {},
      headers: {
        host: url.host,
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
      },
      body,
    },
    { signingDate: new Date(clock.now()) },
  );
  // The client sets it, to the same.
  const { host: _host, ...headers } = signed.headers;
  const response = await client.request({
    url: url.href,
    method: "POST",
    headers,
    body,
    signal,
    timeoutMs: REQUEST_TIMEOUT_MS,
  });
  const text = Buffer.from(await readBytes(response.body, ANSWER_MAX_BYTES)).toString("utf8");
  if (response.status === 200) return rootOf(text);
  const [code, message] = readError(text);
  const status = `${response.status} ${response.statusText}`.trim();
  if (code === "" && response.status >= 500) return new AwsError("ServiceUnavailable", status);
  return new AwsError(code, message === "" ? `server returned HTTP status ${status}` : message);
}

/** EC2 answers `Response > Errors > Error`, the others `ErrorResponse > Error`. */
function readError(text: string): [code: string, message: string] {
  let root: XmlElement;
  try {
    root = rootOf(text);
  } catch {
    // A proxy's page, say: the status has to do.
    return ["", ""];
  }
  const error = root.child("Errors").child("Error").orElse(root.child("Error"));
  return [error.text("Code") ?? "", error.text("Message") ?? ""];
}

function rootOf(text: string): XmlElement {
  let document: unknown;
  try {
    document = parseXML(text);
  } catch (error) {
    throw new AppError("bad-data", "cannot read AWS's answer: it is not XML", { cause: error });
  }
  const [root] = Object.values(document as object) as unknown[];
  return new XmlElement(root);
}

/** One element of an answer. What is not there has no children and no text. */
export class XmlElement {
  readonly #value: unknown;

  constructor(value: unknown) {
    this.#value = value;
  }

  has(name: string): boolean {
    return this.#get(name) !== undefined;
  }

  child(name: string): XmlElement {
    return new XmlElement(this.#get(name));
  }

  /** The `item`s of the list `name`. */
  items(name: string): XmlElement[] {
    const items = this.child(name).#get("item");
    if (items === undefined) return [];
    return (Array.isArray(items) ? (items as unknown[]) : [items]).map(
      (item) => new XmlElement(item),
    );
  }

  /** The text of child `name`; undefined when there is no such child. */
  text(name: string): string | undefined {
    const value = this.#get(name);
    return typeof value === "string" ? value : undefined;
  }

  orElse(other: XmlElement): XmlElement {
    return this.#value === undefined ? other : this;
  }

  #get(name: string): unknown {
    const value = this.#value;
    return typeof value === "object" && value !== null && Object.hasOwn(value, name)
      ? Reflect.get(value, name)
      : undefined;
  }
}

/** SHA-256 as the signer wants it. */
class Sha256 {
  readonly #hash: Hash | Hmac;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash =
      secret === undefined ? createHash("sha256") : createHmac("sha256", bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {
    throw new Error("BUG: the signer does not reset hashes");
  }
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Uint8Array {
  if (typeof data === "string") return Buffer.from(data);
  if (ArrayBuffer.isView(data))
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return new Uint8Array(data);
}
