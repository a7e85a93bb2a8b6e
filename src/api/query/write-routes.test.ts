import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { silentLogger } from "../../base/logger.ts";
import { Registry } from "../../base/metrics.ts";
import { createHttpServer } from "../server.ts";
import { registerWriteRoutes, type WriteRoutesOptions, type WriteTarget } from "./write-routes.ts";

interface FakeShard extends WriteTarget {
  readonly requests: { path: string; headers: Record<string, unknown>; body: string }[];
  /** What it answers with. */
  status: number;
  close(): void;
}

async function startShard(id: string): Promise<FakeShard> {
  const requests: FakeShard["requests"] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { url: path = "", headers } = request;
      requests.push({ path, headers, body: Buffer.concat(parts).toString() });
      response.setHeader("X-Prometheus-Remote-Write-Samples-Written", "7");
      response
        .writeHead(shard.status)
        .end(shard.status === 204 ? "" : `${id} says ${shard.status}\n`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const shard: FakeShard = {
    id,
    http: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    status: 204,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return shard;
}

async function withRoutes(
  options: Partial<WriteRoutesOptions>,
  act: (url: string) => Promise<void>,
): Promise<void> {
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry: new Registry(),
    ready: () => true,
  });
  registerWriteRoutes(server.app, {
    targets: () => [],
    takesWrite: true,
    takesOtlp: true,
    maxBodyBytes: 100,
    maxRequests: 2,
    ...options,
  });
  await server.start?.();
  try {
    await act(`http://127.0.0.1:${server.address().port}`);
  } finally {
    await server.stop?.();
  }
}

const WRITE = "/api/v1/write";
const OTLP = "/api/v1/otlp/v1/metrics";
const post = (
  url: string,
  body = "body",
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf", ...headers },
    body,
  });

test("without the flags, nothing is passed on", async () => {
  await withRoutes({ takesWrite: false, takesOtlp: false }, async (url) => {
    for (const [path, flag] of [
      [WRITE, /--web.enable-remote-write-receiver/],
      [OTLP, /--web.enable-otlp-receiver/],
    ] as const) {
      const response = await post(`${url}${path}`);
      assert.equal(response.status, 404);
      assert.match(await response.text(), flag);
    }
  });
});

test("every target gets what is written, and the worst answer counts", async () => {
  const shards = [await startShard("a-0"), await startShard("b-0")] as const;
  try {
    await withRoutes({ targets: () => shards }, async (url) => {
      const headers = {
        "content-encoding": "snappy",
        "x-prometheus-remote-write-version": "2.0.0",
      };
      const good = await post(`${url}${WRITE}`, "one", headers);
      assert.equal(good.status, 204);
      assert.equal(good.headers.get("x-prometheus-remote-write-samples-written"), "7");
      for (const { requests } of shards) {
        assert.deepEqual(
          requests.map(({ path, body }) => [path, body]),
          [[WRITE, "one"]],
        );
        const got = requests[0]!.headers;
        for (const [name, value] of Object.entries(headers)) assert.equal(got[name], value);
        assert.equal(got["content-type"], "application/x-protobuf");
      }
      const json = await post(`${url}${OTLP}`, "{}", { "content-type": "application/json" });
      assert.equal(json.status, 204);
      assert.deepEqual([shards[1].requests[1]!.path, shards[1].requests[1]!.body], [OTLP, "{}"]);
      for (const [first, second, worst] of [
        [204, 400, 400],
        [503, 400, 503],
        [400, 503, 503],
      ] as const) {
        [shards[0].status, shards[1].status] = [first, second];
        const response = await post(`${url}${WRITE}`);
        assert.equal(response.status, worst);
        assert.match(await response.text(), new RegExp(`says ${worst}`));
      }
    });
  } finally {
    for (const shard of shards) shard.close();
  }
});

test("senders are told to come again while a shard is down, gone or not there yet", async () => {
  const gone = await startShard("gone");
  gone.close();
  for (const [targets, why] of [
    [[], /no shards yet/],
    [[{ id: "shard-0", http: "" }], /shard shard-0 is down/],
    [[gone], /cannot write to shard gone: /],
  ] as const)
    await withRoutes({ targets: () => targets }, async (url) => {
      const response = await post(`${url}${WRITE}`);
      assert.deepEqual([response.status, response.headers.get("retry-after")], [503, "1"]);
      assert.match(await response.text(), why);
    });
});

test("bodies and requests at once have limits", async () => {
  const shard = await startShard("shard-0");
  try {
    await withRoutes({ targets: () => [shard] }, async (url) => {
      assert.equal((await post(`${url}${WRITE}`, "x".repeat(100))).status, 204);
      assert.equal((await post(`${url}${WRITE}`, "x".repeat(101))).status, 413);
    });
    await withRoutes({ targets: () => [shard], maxRequests: 0 }, async (url) => {
      for (const path of [WRITE, OTLP]) {
        const response = await post(`${url}${path}`);
        assert.equal(response.status, 503);
        assert.match(await response.text(), /too many write requests at once: the limit is 0/);
      }
    });
    assert.equal(shard.requests.length, 1);
  } finally {
    shard.close();
  }
});
