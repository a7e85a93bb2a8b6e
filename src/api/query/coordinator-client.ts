import { Agent, request } from "undici";
import { AppError, messageOf } from "../../base/errors.ts";

/** How long a peer on the control plane may take to answer. */
const PEER_TIMEOUT_MS = 5_000;

/** Control-plane answers above this are refused: they would block the event loop while they are parsed. */
const PEER_BODY_MAX_BYTES = 256 * 1024 * 1024;

export interface ShardAddress {
  readonly id: string;
  /** The same in all replica groups for the same targets. */
  readonly ordinal: number;
  /** Its replica group; "" when there is one. */
  readonly replica: string;
  /** `host:port` of the shard's HTTP API, undefined while it is down. */
  readonly http: string | undefined;
  readonly grpc: string | undefined;
}

/** The `data` of one shard's answer. */
export interface ShardAnswer {
  readonly shard: ShardAddress;
  readonly data: unknown;
}

/** Reads the coordinator's HTTP API, and through it the shards'. */
export class CoordinatorClient {
  readonly #url: string;
  readonly #agent = new Agent({ connections: 8, keepAliveTimeout: 10_000 });

  /** `url` like `http://127.0.0.1:9091`. */
  constructor(url: string) {
    this.#url = url.replace(/\/+$/, "");
  }

  /** The coordinator's answer to `GET path`: its status and body, as they are. */
  async get(path: string): Promise<{ status: number; body: string }> {
    return fetchText(this.#agent, `${this.#url}${path}`, "the coordinator");
  }

  /** `POST path`, its parameters in the path; a standby's word who leads is followed once. */
  async post(path: string): Promise<{ status: number; body: string }> {
    const url = `${this.#url}${path}`;
    const answer = await fetchText(this.#agent, url, "the coordinator", "POST");
    if (answer.status !== 307 || answer.location === undefined) return answer;
    return fetchText(this.#agent, answer.location, "the leading coordinator", "POST");
  }

  /** The `data` of an answer in the success envelope. */
  async data(path: string): Promise<unknown> {
    return unwrap(await this.get(path), `${this.#url}${path}`);
  }

  async shards(): Promise<ShardAddress[]> {
    const data = await this.data("/api/v1/shards");
    const list = isRecord(data) && Array.isArray(data["shards"]) ? data["shards"] : [];
    return list.filter(isRecord).map((shard, i) => ({
      id: textOf(shard["id"]) ?? "",
      ordinal: typeof shard["ordinal"] === "number" ? shard["ordinal"] : i,
      replica: textOf(shard["replica"]) ?? "",
      http: textOf(shard["http"]),
      grpc: textOf(shard["grpc"]),
    }));
  }

  /** `GET path` of every reachable shard: the `data` of each that answered, and a warning for each that did not. */
  async fromShards(path: string): Promise<{
    readonly answers: readonly ShardAnswer[];
    readonly silent: readonly { readonly shard: ShardAddress; readonly warning: string }[];
  }> {
    const silent: { shard: ShardAddress; warning: string }[] = [];
    const answers = await Promise.all(
      (await this.shards()).map(async (shard) => {
        try {
          if (shard.http === undefined) throw new AppError("unavailable", "it is down");
          const url = `http://${shard.http}${path}`;
          const data = unwrap(await fetchText(this.#agent, url, `shard ${shard.id}`), url);
          return [{ shard, data }];
        } catch (error) {
          const warning = `no answer from shard ${shard.id}: ${messageOf(error)}`;
          silent.push({ shard, warning });
          return [];
        }
      }),
    );
    return { answers: answers.flat(), silent };
  }

  async close(): Promise<void> {
    await this.#agent.close();
  }
}

async function fetchText(
  agent: Agent,
  url: string,
  who: string,
  method: "GET" | "POST" = "GET",
): Promise<{ status: number; body: string; location: string | undefined }> {
  try {
    const response = await request(url, {
      method,
      dispatcher: agent,
      headersTimeout: PEER_TIMEOUT_MS,
      bodyTimeout: PEER_TIMEOUT_MS,
      signal: AbortSignal.timeout(2 * PEER_TIMEOUT_MS),
    });
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response.body) {
      const bytes = Buffer.isBuffer(piece) ? piece : Buffer.from(String(piece));
      size += bytes.length;
      if (size > PEER_BODY_MAX_BYTES)
        throw new AppError("resource-exhausted", `its answer exceeds ${PEER_BODY_MAX_BYTES} bytes`);
      pieces.push(bytes);
    }
    const { location } = response.headers;
    return {
      status: response.statusCode,
      body: Buffer.concat(pieces).toString("utf8"),
      location: typeof location === "string" ? location : undefined,
    };
  } catch (error) {
    throw new AppError("unavailable", `cannot read ${url} of ${who}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function unwrap(answer: { status: number; body: string }, url: string): unknown {
  let parsed: unknown;
  try {
    parsed = JSON.parse(answer.body);
  } catch (error) {
    throw new AppError("unavailable", `cannot read ${url}: not JSON (HTTP ${answer.status})`, {
      cause: error,
    });
  }
  if (!isRecord(parsed) || parsed["status"] !== "success")
    throw new AppError(
      "unavailable",
      `cannot read ${url}: ${isRecord(parsed) ? String(parsed["error"]) : `HTTP ${answer.status}`}`,
    );
  return parsed["data"];
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}
