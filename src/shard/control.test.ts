import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import { test } from "node:test";
import { connectShard, type ShardControl } from "./control.ts";
import { encodeStatusTable } from "./status-columns.ts";
import { StatusTable } from "./status-table.ts";
import { decodeStatus } from "./wire.ts";

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

const RUNTIME = { headSeries: 1, processSeries: 1, ConfigHash: "x" };

/** A shard that has the paths in `answers`; tells what it was asked. */
function shardWith(
  answers: Readonly<Record<string, string | Buffer | number>>,
  asked: string[],
): RequestListener {
  return (request, response) => {
    const path = request.url!.replace(/\?.*/, "");
    asked.push(path);
    const answer = answers[path] ?? 404;
    response.statusCode = typeof answer === "number" ? answer : 200;
    response.end(typeof answer === "number" ? "" : answer);
  };
}

const success = (data: unknown): string => JSON.stringify({ status: "success", data });

test("a shard of ours is asked for columns, an older one and a Kvass sidecar for text", async () => {
  const columns = "/api/v1/shard/targets/columns";
  const status = "/api/v1/shard/targets/status/";
  const runtime = "/api/v1/shard/runtimeinfo/";
  const text = { [status]: success({ "7": { series: 3 } }) };
  const table = new StatusTable({ revision: "r", hashes: ["7"] });
  table.set(0, { ...decodeStatus({ "7": { series: 3 } }).get("7")! });
  const own = { [runtime]: success({ ...RUNTIME, id: "shard-0" }) };
  const kvass = { [runtime]: success(RUNTIME) };
  for (const [answers, wanted] of [
    [{ ...own, [columns]: encodeStatusTable(table, "") }, [columns]],
    [{ ...own, ...text }, [columns, status]],
    [{ ...kvass, ...text }, [status]],
  ] as const) {
    const asked: string[] = [];
    await withServer(shardWith(answers, asked), async (control) => {
      await control.runtime(undefined);
      const statuses = await control.status();
      assert.equal(statuses.get("7")?.load.series, 3);
      assert.deepEqual(asked.slice(1), wanted);
    });
  }
});

test("changes are refused by a shard with another list and by one that does not know them", async () => {
  const changes = "/api/v1/shard/targets/changes";
  const none = { base: "r", set: [], gone: ["7"] };
  for (const [answer, isTaken] of [
    [success(null), true],
    [406, false],
    [404, false],
  ] as const)
    await withServer(shardWith({ [changes]: answer }, []), async (control) => {
      assert.equal(await control.pushChanges!(none, 1), isTaken);
    });
  await withServer(shardWith({ [changes]: 503 }, []), async (control) => {
    await assert.rejects(control.pushChanges!(none, 1), { code: "unavailable" });
  });
});

test("what was asked over a connection that the shard had closed is asked again", async () => {
  let requests = 0;
  await withServer(
    (request, response) => {
      // The second request finds a connection that ends with it.
      if (++requests === 2) request.socket.destroy();
      else response.end(success({ ...RUNTIME, id: "shard-0" }));
    },
    async (control) => {
      await control.runtime(1);
      await control.runtime(1);
      assert.equal(requests, 3);
    },
  );
  await withServer(
    (request) => request.socket.destroy(),
    async (control) => {
      await assert.rejects(control.runtime(1), { code: "unavailable" });
    },
  );
});
