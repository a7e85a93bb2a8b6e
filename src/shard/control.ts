import { Agent, request as httpRequest } from "node:http";
import { AppError, type ErrorCode, messageOf } from "../base/errors.ts";
import type { JobStatistics, StatisticsQuery } from "../scrape/job-statistics.ts";
import { decodeStatistics } from "./statistics.ts";
import {
  type AssignedTarget,
  decodeAssignment,
  decodeRuntime,
  decodeStatus,
  EPOCH_HEADER,
  encodeAssignment,
  parseJson,
  printJson,
  type PushedConfig,
  type ShardRuntime,
  type StopOrder,
  stopReasonOf,
  type TargetStatus,
} from "./wire.ts";

/**
 * A shard as the coordinator sees it, whatever is behind. Every call rejects with AppError within its deadline. Calls
 * that carry the coordinator's epoch reject with `outdated` when the shard has heard of a later one (leadership.ts).
 */
export interface ShardControl {
  /** With an epoch it also makes the shard refuse earlier ones. */
  runtime(epoch: number | undefined): Promise<ShardRuntime>;
  status(): Promise<Map<string, TargetStatus>>;
  /** The whole target list with labels: for a coordinator that does not know them yet. */
  assignment(): Promise<AssignedTarget[]>;
  /** What the last scrapes brought, by job. */
  statistics(query: StatisticsQuery): Promise<Map<string, JobStatistics>>;
  /** Replaces the shard's target list. */
  pushTargets(list: readonly AssignedTarget[], epoch: number): Promise<void>;
  /** The shard keeps the operator's mark that it is to be empty, or that it is not. */
  setDraining(isDraining: boolean, epoch: number): Promise<void>;
  /** Rejects with `bad-data` when the shard refuses the configuration. */
  pushConfig(config: PushedConfig, epoch: number): Promise<void>;
  /** Why it scrapes nothing, asked for by itself: Kvass does not tell with `runtime`. */
  stopReason(): Promise<string>;
  /** Gives the shard an order to stop, or to go on. */
  pushStop(order: StopOrder, epoch: number): Promise<void>;
  close(): void;
}

/** Deadline of one control call. One hung shard must not hold up the others. */
export const CONTROL_TIMEOUT_MS = 5_000;

/** The answer of a shard with 100,000 targets is about 25 MB. */
const ANSWER_MAX_BYTES = 256 * 1024 * 1024;

/** Speaks the control API to the shard at `baseUrl` (`http://127.0.0.1:1234`). */
export function connectShard(baseUrl: string, timeoutMs = CONTROL_TIMEOUT_MS): ShardControl {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const base = baseUrl.replace(/\/+$/, "");
  const call = async (
    path: string,
    options: { body?: unknown; epoch?: number | undefined } = {},
  ): Promise<unknown> => {
    const method = options.body === undefined ? "GET" : "POST";
    const url = `${base}${path}`;
    const answer = await exchange(url, { ...options, agent, method, timeoutMs });
    return unwrap(answer, `${method} ${url}`);
  };
  return {
    runtime: async (epoch) => decodeRuntime(await call("/api/v1/shard/runtimeinfo/", { epoch })),
    status: async () => decodeStatus(await call("/api/v1/shard/targets/status/")),
    assignment: async () => decodeAssignment(await call("/api/v1/shard/assignment/")),
    async statistics({ job, withMetrics }) {
      const query = new URLSearchParams({ job, with_metrics_detail: String(withMetrics) });
      return decodeStatistics(await call(`/api/v1/shard/samples/?${query.toString()}`));
    },
    async pushTargets(list, epoch) {
      await call("/api/v1/shard/targets/", { body: encodeAssignment(list), epoch });
    },
    async setDraining(draining, epoch) {
      await call("/api/v1/shard/drain/", { body: { draining }, epoch });
    },
    async pushConfig(config, epoch) {
      await call("/api/v1/status/config/", { body: config, epoch });
    },
    stopReason: async () => stopReasonOf(await call("/api/v1/status/extra_config/")),
    async pushStop({ reason, sinceMs }, epoch) {
      const body = { stopScrapeReason: reason, sinceMs };
      await call("/api/v1/status/extra_config/", { body, epoch });
    },
    close: () => agent.destroy(),
  };
}

interface Exchange {
  readonly agent: Agent;
  readonly method: "GET" | "POST";
  readonly timeoutMs: number;
  readonly body?: unknown;
  readonly epoch?: number | undefined;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function exchange(url: string, options: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      const what = `cannot reach ${url}: ${messageOf(error)}`;
      reject(
        error instanceof AppError ? error : new AppError("unavailable", what, { cause: error }),
      );
    };
    const body = options.body === undefined ? undefined : printJson(options.body);
    const headers = {
      ...(body !== undefined && { "Content-Type": "application/json" }),
      ...(options.epoch !== undefined && { [EPOCH_HEADER]: String(options.epoch) }),
    };
    const request = httpRequest(url, { agent: options.agent, method: options.method, headers });
    // One deadline for the whole exchange: a peer that sends a byte now and then is hung all the same.
    const timer = setTimeout(() => {
      const text = `cannot reach ${url}: no answer within ${options.timeoutMs / 1000} s`;
      request.destroy(new AppError("timeout", text));
    }, options.timeoutMs);
    request.on("error", fail);
    request.on("response", (response) => {
      const pieces: Buffer[] = [];
      let size = 0;
      response.on("data", (piece: Buffer) => {
        size += piece.length;
        pieces.push(piece);
        if (size > ANSWER_MAX_BYTES)
          request.destroy(
            new AppError(
              "resource-exhausted",
              `cannot read ${url}: more than ${ANSWER_MAX_BYTES} bytes`,
            ),
          );
      });
      response.on("error", fail);
      response.on("end", () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString("utf8") });
      });
    });
    request.end(body);
  });
}

const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["bad_data", "bad-data"],
  ["outdated", "outdated"],
]);

function unwrap({ status, text }: Answer, what: string): unknown {
  let answer: unknown;
  try {
    answer = parseJson(text);
  } catch {
    throw new AppError("unavailable", `cannot ${what}: HTTP ${status}, not a shard's answer`);
  }
  const fields: Readonly<Record<string, unknown>> =
    typeof answer === "object" && answer !== null ? { ...answer } : {};
  if (status === 200 && fields["status"] === "success") return fields["data"];
  const message = typeof fields["error"] === "string" ? fields["error"] : `HTTP ${status}`;
  throw new AppError(CODES.get(String(fields["errorType"])) ?? "unavailable", message);
}
