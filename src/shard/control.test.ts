import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { test } from "node:test";
import { connectShard, type ShardControl } from "./control.ts";

async function withServer(
  listener: RequestListener,
  body: (control: ShardControl, url: string) => Promise<void>,
): Promise<void> {
  const server = createServer(listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const url = `http://127.0.0.1:${address.port}`;
  const control = connectShard(`${url}/`, 200);
  try {
    await body(control, url);
  } finally {
    control.close();
    server.closeAllConnections();
    server.close();
  }
}

test("a shard that never answers costs its deadline and no more", async () => {
  await withServer(
    () => {},
    async (control, url) => {
      await assert.rejects(control.runtime(1), {
        code: "timeout",
        message: `cannot reach ${url}/api/v1/shard/runtimeinfo/: no answer within 0.2 s`,
      });
    },
  );
});

test("a shard that answers a byte at a time is hung all the same", async () => {
  await withServer(
    (_request, response) => {
      const timer = setInterval(() => response.write(" "), 20);
      response.on("close", () => clearInterval(timer));
    },
    async (control) => {
      await assert.rejects(control.status(), { code: "timeout" });
    },
  );
});

test("refusals, strangers and closed ports are told apart", async () => {
  await withServer(
    (request, response) => {
      const isConfig = request.url === "/api/v1/status/config/";
      response.statusCode = isConfig ? 400 : 200;
      response.end(
        isConfig ? '{"status":"error","errorType":"bad_data","error":"line 3: no"}' : "<html>",
      );
    },
    async (control) => {
      const config = { rawContent: "x", baseFolder: "/", hash: "1" };
      await assert.rejects(control.pushConfig(config, 1), {
        code: "bad-data",
        message: "line 3: no",
      });
      await assert.rejects(control.runtime(1), /HTTP 200, not a shard's answer/);
    },
  );
  const gone = connectShard("http://127.0.0.1:9", 1000);
  await assert.rejects(gone.runtime(1), { code: "unavailable", message: /ECONNREFUSED/ });
  gone.close();
});

test("every call that changes or counts carries the epoch, and a later one's refusal is told apart", async () => {
  const epochs: unknown[] = [];
  await withServer(
    (request, response) => {
      epochs.push(request.headers["x-shoal-epoch"]);
      response.statusCode = 409;
      response.end('{"status":"error","errorType":"outdated","error":"epoch 8 is in charge"}');
    },
    async (control) => {
      const refused = { code: "outdated", message: "epoch 8 is in charge" };
      await assert.rejects(control.runtime(7), refused);
      await assert.rejects(control.pushTargets([], 7), refused);
      await assert.rejects(
        control.pushConfig({ rawContent: "", baseFolder: "/", hash: "" }, 7),
        refused,
      );
      await assert.rejects(control.runtime(undefined), refused);
    },
  );
  assert.deepEqual(epochs, ["7", "7", "7", undefined]);
});
