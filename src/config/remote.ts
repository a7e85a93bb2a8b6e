import { createHash } from "node:crypto";
import { quote } from "../base/text.ts";
import { checkHttpClient, httpClientFields, RESERVED_HEADERS } from "./http-client.ts";
import { toHttpClient } from "./http-client-config.ts";
import { list, optional, refine, type Kind } from "./kind.ts";
import { field, map, object, type Values } from "./object.ts";
import type { Reader, Where } from "./reader.ts";
import { checkRelabelRules, relabelRules, toRelabelConfigs } from "./relabel.ts";
import type { NameValidation } from "../model/relabel.ts";
import { bool, count, duration, int, labelName, text, url } from "./scalars.ts";
import { Secret } from "./secret.ts";
import { azuread, googleIam, sigv4 } from "./signing.ts";
import type { RemoteReadConfig, RemoteWriteConfig } from "./types.ts";
import { hidePassword } from "./url.ts";

/** `remote_write` and `remote_read`. */

/** Extra request headers; `authorization` is what is said of that one. */
export function headers(authorization: string): Kind<Readonly<Record<string, string>>> {
  const name = refine(text, (written) => {
    const lower = written.toLowerCase();
    if (lower === "authorization") return authorization;
    return RESERVED_HEADERS.has(lower)
      ? `${written} is a reserved header. It must not be changed`
      : undefined;
  });
  return map(name, text);
}

const remoteHeaders = headers(
  "authorization header must be changed via the basic_auth, authorization, oauth2, sigv4, azuread or google_iam parameter",
);

const queue = object("queue_config", {
  capacity: field(int, { default: 10_000 }),
  max_shards: field(int, { default: 50 }),
  min_shards: field(int, { default: 1 }),
  max_samples_per_send: field(int, { default: 2000 }),
  batch_send_deadline: field(duration, { default: 5000 }),
  min_backoff: field(duration, { default: 30 }),
  max_backoff: field(duration, { default: 5000 }),
  retry_on_http_429: field(bool),
  sample_age_limit: field(duration),
});

const metadata = object("metadata_config", {
  send: field(bool, { default: true, always: true }),
  send_interval: field(duration, { default: 60_000, always: true }),
  max_samples_per_send: field(int, { default: 2000 }),
});

const WRITE_MESSAGES = ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] as const;

const remoteWrite = object(
  "a remote_write config",
  {
    url: field(optional(url), { always: true }),
    remote_timeout: field(duration, { default: 30_000 }),
    headers: field(remoteHeaders),
    write_relabel_configs: field(
      relabelRules("empty or null relabeling rule in remote write config"),
    ),
    name: field(text),
    send_exemplars: field(bool),
    send_native_histograms: field(bool),
    round_robin_dns: field(bool),
    protobuf_message: field(text, { default: "prometheus.WriteRequest" }),
    failed_request_logging: field(bool),
    ...httpClientFields,
    enable_http2: field(bool, { default: false, always: true }),
    queue_config: field(queue, { default: queue.defaults }),
    metadata_config: field(metadata, { default: metadata.defaults }),
    sigv4: field(optional(sigv4)),
    azuread: field(optional(azuread)),
    google_iam: field(optional(googleIam)),
  },
  (values, at) => {
    if (values.url === undefined) at.fail("url", "url for remote_write is empty");
    if (!WRITE_MESSAGES.some((name) => name === values.protobuf_message))
      at.fail(
        "protobuf_message",
        `invalid protobuf_message value: unknown type for remote write protobuf message ${values.protobuf_message}, supported: ${WRITE_MESSAGES.join(", ")}`,
      );
    checkQueue(values.queue_config, at);
    const bearer = !values.bearer_token.isEmpty || values.bearer_token_file !== "";
    const methods = [
      values.basic_auth !== undefined && "basic_auth",
      (values.authorization !== undefined || bearer) && "authorization",
      values.oauth2 !== undefined && "oauth2",
      values.sigv4 !== undefined && "sigv4",
      values.azuread !== undefined && "azuread",
      values.google_iam !== undefined && "google_iam",
    ].filter((name) => name !== false);
    if (methods.length > 1)
      at.fail(
        methods.find((name) => at.has(name)),
        `at most one of basic_auth, authorization, oauth2, sigv4, azuread or google_iam must be configured. Currently configured: [${methods.join(" ")}]`,
      );
    return checkHttpClient(values, at);
  },
);

function checkQueue(values: typeof queue.defaults, at: Where): void {
  const fail = (message: string): void => at.fail("queue_config", `remote write queue ${message}`);
  if (values.max_shards <= 0) fail("max_shards must be positive");
  if (values.min_shards <= 0) fail("min_shards must be positive");
  if (values.min_shards > values.max_shards) fail("min_shards must not be greater than max_shards");
  if (values.max_samples_per_send <= 0) fail("max_samples_per_send must be positive");
  if (values.capacity <= 0) fail("capacity must be positive");
  if (values.max_backoff < values.min_backoff)
    fail("max_backoff must not be less than min_backoff");
}

const remoteRead = object(
  "a remote_read config",
  {
    url: field(optional(url), { always: true }),
    remote_timeout: field(duration, { default: 60_000 }),
    chunked_read_limit: field(count, { default: 50_000_000 }),
    headers: field(remoteHeaders),
    read_recent: field(bool),
    name: field(text),
    ...httpClientFields,
    required_matchers: field(map(labelName, text)),
    filter_external_labels: field(bool, { default: true }),
  },
  (values, at) => {
    if (values.url === undefined) at.fail("url", "url for remote_read is empty");
    return checkHttpClient(values, at);
  },
);

export const remoteWrites = list(remoteWrite, {
  nullMessage: "empty or null remote write config section",
});

export const remoteReads = list(remoteRead, {
  nullMessage: "empty or null remote read config section",
});

/** The rules between several remotes and with the file's name validation. */
export function checkRemotes(
  writes: readonly Values<typeof remoteWrite.fields>[],
  reads: readonly Values<typeof remoteRead.fields>[],
  context: { readonly scheme: NameValidation; readonly reader: Reader },
): void {
  for (const one of writes)
    checkRelabelRules(one.write_relabel_configs, context.scheme, context.reader);
  checkNames(writes, "write", context.reader);
  checkNames(reads, "read", context.reader);
}

function checkNames(
  remotes: readonly { readonly name: string }[],
  what: string,
  reader: Reader,
): void {
  const names = new Set<string>();
  for (const one of remotes) {
    if (one.name !== "" && names.has(one.name))
      reader
        .where(one)
        .fail("name", `found multiple remote ${what} configs with job name ${quote(one.name)}`);
    names.add(one.name);
  }
}

type RemoteWriteValues = Values<typeof remoteWrite.fields>;

export function toRemoteWrite(values: RemoteWriteValues): RemoteWriteConfig {
  const { queue_config: given, metadata_config: metadata } = values;
  const url = values.url ?? "";
  const signing = [
    values.sigv4 !== undefined && "sigv4",
    values.azuread !== undefined && "azuread",
    values.google_iam !== undefined && "google_iam",
  ].find((name) => name !== false);
  return {
    url,
    shownUrl: hidePassword(url),
    name: values.name,
    message: values.protobuf_message === WRITE_MESSAGES[1] ? WRITE_MESSAGES[1] : WRITE_MESSAGES[0],
    remoteTimeoutMs: values.remote_timeout,
    headers: values.headers ?? {},
    writeRelabelConfigs: toRelabelConfigs(values.write_relabel_configs),
    sendExemplars: values.send_exemplars,
    sendNativeHistograms: values.send_native_histograms,
    httpClient: toHttpClient(values),
    unsupported: signing ?? "",
    queue: {
      capacity: given.capacity,
      minShards: given.min_shards,
      maxShards: given.max_shards,
      maxSamplesPerSend: given.max_samples_per_send,
      batchSendDeadlineMs: given.batch_send_deadline,
      minBackoffMs: given.min_backoff,
      maxBackoffMs: given.max_backoff,
      retryOnHttp429: given.retry_on_http_429,
      sampleAgeLimitMs: given.sample_age_limit,
    },
    metadata: {
      send: metadata.send,
      sendIntervalMs: metadata.send_interval,
      maxSamplesPerSend: metadata.max_samples_per_send,
    },
    fingerprint: fingerprintOf(values),
  };
}

type RemoteReadValues = Values<typeof remoteRead.fields>;

export function toRemoteRead(values: RemoteReadValues): RemoteReadConfig {
  const url = values.url ?? "";
  return {
    url,
    shownUrl: hidePassword(url),
    name: values.name,
    remoteTimeoutMs: values.remote_timeout,
    chunkedReadLimitBytes: values.chunked_read_limit,
    headers: values.headers ?? {},
    readRecent: values.read_recent,
    requiredMatchers: values.required_matchers ?? {},
    filterExternalLabels: values.filter_external_labels,
    httpClient: toHttpClient(values),
    fingerprint: fingerprintOf(values),
  };
}

/** A hash, because secrets are among what it is of. */
function fingerprintOf(values: RemoteWriteValues | RemoteReadValues): string {
  const text = JSON.stringify(values, function (this: unknown, name: string, shown: unknown) {
    const value = Reflect.get(Object(this), name) as unknown;
    return value instanceof Secret ? value.reveal() : shown;
  });
  return createHash("sha256").update(text).digest("hex");
}
