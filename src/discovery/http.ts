import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { AppError, messageOf } from "../base/errors.ts";
import { formatFixed } from "../base/float.ts";
import { quote } from "../base/text.ts";
import type { HttpClientConfig } from "../config/types.ts";
import { hidePassword } from "../config/url.ts";
import type { HttpClient } from "../http/client.ts";
import { drain, readBytes } from "../http/read-body.ts";
import { parseJsonGroups, toTargetGroups } from "./group-list.ts";
import { refreshLoop, type Finding, type Mechanism, type MechanismContext } from "./mechanism.ts";

/** A list beyond this, inflated, is refused: a hundred thousand targets are about 10 MiB. */
const LIST_MAX_BYTES = 64 * 1024 * 1024;
const ERROR_BODY_MAX_BYTES = 1 << 16;

const inflate = promisify(gunzip);

interface HttpConfig {
  readonly url: string;
  readonly refreshIntervalMs: number;
  readonly httpClient: HttpClientConfig;
}

/** Targets from an HTTP endpoint (Prometheus's http_sd contract): the full list as JSON, each time. */
export function createHttp(config: HttpConfig, context: MechanismContext): Mechanism {
  const failures = context.registry.counter(
    "prometheus_sd_http_failures_total",
    "Number of HTTP service discovery refresh failures.",
  );
  return {
    async run(report, signal) {
      const client = context.createHttpClient(config.httpClient);
      try {
        await refreshLoop(
          { mechanism: "http", intervalMs: config.refreshIntervalMs, context, report, signal },
          async (abort) => {
            try {
              return await fetchGroups(client, config, abort);
            } catch (error) {
              if (!abort.aborted) failures.inc();
              throw error;
            }
          },
        );
      } finally {
        await client.close();
      }
    },
  };
}

async function fetchGroups(
  client: HttpClient,
  config: HttpConfig,
  signal: AbortSignal,
): Promise<Finding> {
  const response = await client.request({
    url: config.url,
    headers: {
      accept: "application/json",
      "accept-encoding": "gzip",
      "x-prometheus-refresh-interval-seconds": formatFixed(config.refreshIntervalMs / 1000),
    },
    signal,
    timeoutMs: config.refreshIntervalMs,
  });
  const contentType = response.headers.get("content-type") ?? "";
  if (response.status !== 200) {
    await drain(response.body, ERROR_BODY_MAX_BYTES);
    const status = `${response.status} ${response.statusText}`.trimEnd();
    throw new AppError("unavailable", `server returned HTTP status ${status}`);
  }
  if (!/^application\/json(?:;\s*charset=(?:"utf-8"|utf-8))?$/i.test(contentType.trim())) {
    await drain(response.body, ERROR_BODY_MAX_BYTES);
    throw new AppError("bad-data", `unsupported content type ${quote(contentType)}`);
  }
  const sent = await readBytes(response.body, LIST_MAX_BYTES);
  const bytes =
    response.headers.get("content-encoding") === "gzip" ? await inflateList(sent) : sent;
  const groups = parseJsonGroups(Buffer.from(bytes).toString("utf8"));
  return {
    groups: toTargetGroups(groups, { name: hidePassword(config.url), label: "__meta_url" }),
    errors: [],
  };
}

async function inflateList(sent: Uint8Array): Promise<Uint8Array> {
  try {
    return await inflate(sent, { maxOutputLength: LIST_MAX_BYTES });
  } catch (error) {
    throw new AppError("bad-data", `cannot decompress target list: ${messageOf(error)}`, {
      cause: error,
    });
  }
}
