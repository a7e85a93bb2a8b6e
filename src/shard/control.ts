import { Agent, request as httpRequest } from "node:http";
import { AppError, type ErrorCode, messageOf, systemCode } from "../base/errors.ts";
import type { JobStatistics, StatisticsQuery } from "../scrape/job-statistics.ts";
import { decodeStatistics } from "./statistics.ts";
import { decodeStatusTable } from "./status-columns.ts";
import { StatusTable } from "./status-table.ts";
import {
  type AssignedTarget,
  decodeAssignment,
  decodeRuntime,
  decodeStatus,
  EPOCH_HEADER,
  encodeAssignment,
  encodeChanges,
  type ListChanges,
  parseJson,
  printJson,
  type PushedConfig,
  type ShardRuntime,
  type StopOrder,
  configTextOf,
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
  status(): Promise<ReadonlyMap<string, TargetStatus>>;
  /** The whole target list with labels: for a coordinator that does not know them yet. */
  assignment(): Promise<AssignedTarget[]>;
  /** What the last scrapes brought, by job. */
  statistics(query: StatisticsQuery): Promise<Map<string, JobStatistics>>;
  /** Replaces the shard's target list. */
  pushTargets(list: readonly AssignedTarget[], epoch: number): Promise<void>;
  /** The shard keeps the operator's mark that it is to be empty, or that it is not. */
  setDraining(isDraining: boolean, epoch: number): Promise<void>;
  /**
   * Changes the shard's target list; false when the shard cannot, or has another list than the one that is to be changed.
   * A shard without it is given whole lists.
   */
  pushChanges?(changes: ListChanges, epoch: number): Promise<boolean>;
  /** Rejects with `bad-data` when the shard refuses the configuration. */
  pushConfig(config: PushedConfig, epoch: number): Promise<void>;
  /** Gives the shard an order to stop, or to go on. */
  pushStop(order: StopOrder, epoch: number): Promise<void>;
  close(): void;
}

/** A shard over HTTP, with what a Kvass sidecar does not tell with `runtime`. */
export interface ShardConnection extends ShardControl {
  /** Why it scrapes nothing; "" while it scrapes. */
  stopReason(): Promise<string>;
  /** The configuration that it runs, a Kvass sidecar's with its secrets. */
  configText(): Promise<string>;
}

/** Deadline of one control call. One hung shard must not hold up the others. */
export const CONTROL_TIMEOUT_MS = 5_000;

/** The answer of a shard with 100,000 targets is about 25 MB. */
const ANSWER_MAX_BYTES = 256 * 1024 * 1024;

/** What a Kvass sidecar does not have (docs/shard-api.md). */
const COLUMNS_PATH = "/api/v1/shard/targets/columns";
const CHANGES_PATH = "/api/v1/shard/targets/changes";

/** Speaks the control API to the shard at `baseUrl` (`http://127.0.0.1:1234`). */
export function connectShard(baseUrl: string, timeoutMs = CONTROL_TIMEOUT_MS): ShardConnection {
  const agent = new Agent({ keepAlive: true, maxSockets: 2 });
  const base = baseUrl.replace(/\/+$/, "");
  const ask = (path: string, options: { body?: unknown; epoch?: number | undefined } = {}) => {
    const method = options.body === undefined ? "GET" : "POST";
    return exchange(`${base}${path}`, { ...options, agent, method, timeoutMs });
  };
  const call = async (...[path, options]: Parameters<typeof ask>): Promise<unknown> => {
    const answer = await ask(path, options);
    return unwrap(answer, `${options?.body === undefined ? "GET" : "POST"} ${base}${path}`);
  };
  let isKvass = false;
  let list = StatusTable.EMPTY.list;
  return {
    async runtime(epoch) {
      const runtime = decodeRuntime(await call("/api/v1/shard/runtimeinfo/", { epoch }));
      isKvass = runtime.id === "";
      return runtime;
    },
    async status() {
      if (!isKvass) {
        const query = new URLSearchParams({ list: list.revision });
        const { status, body } = await ask(`${COLUMNS_PATH}?${query.toString()}`);
        if (status === 200) {
          const table = decodeStatusTable(body, list);
          list = table.list;
          return table;
        }
        // An older shard of ours has no columns.
        if (status !== 404) unwrap({ status, body }, `GET ${base}${COLUMNS_PATH}`);
      }
      return decodeStatus(await call("/api/v1/shard/targets/status/"));
    },
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
    async pushChanges(changes, epoch) {
      if (isKvass) return false;
      const answer = await ask(CHANGES_PATH, { body: encodeChanges(changes), epoch });
      if (answer.status === 404 || answer.status === 406) return false;
      unwrap(answer, `POST ${base}${CHANGES_PATH}`);
      return true;
    },
    async pushConfig(config, epoch) {
      await call("/api/v1/status/config/", { body: config, epoch });
    },
    stopReason: async () => stopReasonOf(await call("/api/v1/status/extra_config/")),
    configText: async () => configTextOf(await call("/api/v1/status/config/")),
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
  readonly body: Buffer;
}

/**
 * One request and its answer. A connection that was kept may have been closed by the peer while the coordinator was busy;
 * what was asked over such a one is asked again, which is safe: all that a shard is told may be told twice.
 */
function exchange(url: string, options: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      if (request.reusedSocket && systemCode(error) === "ECONNRESET" && !isAnswered) {
        resolve(exchange(url, options));
        return;
      }
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
    let isAnswered = false;
    request.on("response", (response) => {
      isAnswered = true;
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
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces) });
      });
    });
    request.end(body);
  });
}

const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["bad_data", "bad-data"],
  ["outdated", "outdated"],
]);

function unwrap({ status, body }: Answer, what: string): unknown {
  let answer: unknown;
  try {
    answer = parseJson(body.toString("utf8"));
  } catch {
    throw new AppError("unavailable", `cannot ${what}: HTTP ${status}, not a shard's answer`);
  }
  const fields: Readonly<Record<string, unknown>> =
    typeof answer === "object" && answer !== null ? { ...answer } : {};
  if (status === 200 && fields["status"] === "success") return fields["data"];
  const message = typeof fields["error"] === "string" ? fields["error"] : `HTTP ${status}`;
  throw new AppError(CODES.get(String(fields["errorType"])) ?? "unavailable", message);
}
