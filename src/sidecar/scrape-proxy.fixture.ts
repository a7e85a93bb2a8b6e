import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, request, type Server } from "node:http";
import type { RequestListener } from "node:http";
import type { TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { seededRandom } from "../base/random.ts";
import { parseConfig } from "../config/load.ts";
import { createHttpClient } from "../http/client.ts";
import { buildTarget } from "../model/target-build.ts";
import { refuseTarget, type Target } from "../model/target.ts";
import type { TargetStatus } from "../scrape/scrape-loop.ts";
import { ScrapeProxy } from "./scrape-proxy.ts";

/** A proxy with one job, targets that the test writes, and an agent that asks as Prometheus does. */
export interface ProxyFixture {
  readonly proxy: ScrapeProxy;
  readonly port: number;
  /** Starts a target; what it serves is assigned under the job's settings. */
  readonly target: (listener: RequestListener, options?: TargetSettings) => Promise<Assigned>;
}

export interface TargetSettings {
  /** Further YAML of the job. */
  readonly job?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Assigned {
  readonly target: Target;
  /** Gives the target to the proxy again, with a refusal or without. */
  readonly refuse: (refusal?: string) => void;
  readonly server: Server;
  /** What an agent asks for. */
  readonly url: string;
  readonly status: () => TargetStatus;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export async function startProxy(context: TestContext): Promise<ProxyFixture> {
  const proxy = new ScrapeProxy({
    listen: { host: "127.0.0.1", port: 0 },
    createClient: (config) => createHttpClient(config, { userAgent: "own" }),
    clock: systemClock,
    random: seededRandom(1),
    logger: silentLogger,
    registry: new Registry(),
  });
  await proxy.start();
  const servers: Server[] = [];
  context.after(async () => {
    await proxy.stop();
    for (const server of servers) {
      server.closeAllConnections();
      server.close();
    }
  });
  return {
    proxy,
    port: proxy.address().port,
    async target(listener, { job = "", labels = {} } = {}) {
      const server = createServer(listener);
      servers.push(server);
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      const address = server.address();
      assert.ok(address !== null && typeof address === "object");
      const config = parseConfig(`scrape_configs: [{job_name: "a job", ${job}}]`, {
        path: "p",
        baseFolder: "/",
      });
      const result = buildTarget(
        { labels: { __address__: `127.0.0.1:${address.port}`, ...labels } },
        config.scrapeConfigs[0]!,
      );
      assert.ok(result.kind === "target");
      const { target } = result;
      const apply = (refusal?: string): void =>
        proxy.apply({
          config,
          targets: [refusal === undefined ? target : refuseTarget(target, refusal)],
        });
      apply();
      return {
        target,
        refuse: apply,
        server,
        url: askedUrl(target),
        status: () => proxy.statuses().find((each) => each.target.hash === target.hash)!,
      };
    },
  };
}

/** The URL that Prometheus makes of a target's file, with `change`d parameters. */
export function askedUrl(target: Target, change: Readonly<Record<string, string>> = {}): string {
  const url = new URL(target.url);
  url.protocol = "http:";
  const own = { _hash: target.hash, _jobName: target.job, _scheme: "http" };
  for (const [name, value] of Object.entries({ ...own, ...change }))
    url.searchParams.set(name, value);
  return url.href;
}

/** Asks the proxy as an agent does: the whole URL in the request line. Rejects when the connection breaks. */
export function ask(
  port: number,
  url: string,
  options: {
    readonly headers?: Readonly<Record<string, string>>;
    readonly method?: string;
    readonly signal?: AbortSignal;
    readonly body?: string;
  } = {},
): Promise<Answer> {
  const { headers, method = "GET", signal, body } = options;
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: "127.0.0.1",
        port,
        path: url,
        method,
        headers: { host: new URL(url).host, ...headers },
        ...(signal !== undefined && { signal }),
      },
      (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece: Buffer) => pieces.push(piece));
        response.on("error", reject);
        response.on("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(pieces),
          }),
        );
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}
