import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { test } from "node:test";
import { AppError } from "../base/errors.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import type { WriteReceiver } from "../remote/write-receiver.ts";
import { diskError } from "../wal/writer.ts";
import { registerRemoteWriteApi } from "./remote-write-api.ts";
import { createHttpServer } from "./server.ts";

async function withServer(
  receiver: Pick<WriteReceiver, "receive"> | undefined,
  act: (url: string) => Promise<void>,
): Promise<void> {
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry: new Registry(),
    ready: () => true,
  });
  registerRemoteWriteApi(server.app, {
    receiver: receiver as WriteReceiver | undefined,
    maxBodyBytes: 100,
    maxRequests: 2,
  });
  await server.start?.();
  try {
    await act(`http://127.0.0.1:${server.address().port}/api/v1/write`);
  } finally {
    await server.stop?.();
  }
}

const post = (url: string, size = 1): Promise<Response> =>
  fetch(url, {
    method: "POST",
    headers: { "content-type": "application/x-protobuf" },
    body: new Uint8Array(size),
  });

const done = { status: 204, text: "", written: undefined };

test("without the flag, the way in is not there", async () => {
  await withServer(undefined, async (url) => {
    const response = await post(url);
    assert.equal(response.status, 404);
    assert.match(await response.text(), /--web.enable-remote-write-receiver/);
  });
});

test("a body beyond the limit is refused", async () => {
  await withServer({ receive: async () => done }, async (url) => {
    assert.equal((await post(url, 100)).status, 204);
    assert.equal((await post(url, 101)).status, 413);
  });
});

test("a client that sends all of a body that is too large reads the answer", async () => {
  await withServer({ receive: async () => done }, async (url) => {
    // Far more than the sockets hold; with its size told, and without.
    for (const headers of [{ "content-length": String(64 << 20) }, {}]) {
      const sending = request(url, { method: "POST", headers });
      const answered = once(sending, "response") as Promise<[IncomingMessage]>;
      answered.catch(() => {});
      const part = new Uint8Array(1 << 20);
      for (let i = 0; i < 64; i++) if (!sending.write(part)) await once(sending, "drain");
      sending.end();
      const [response] = await answered;
      assert.equal(response.statusCode, 413);
      response.destroy();
    }
  });
});

test("senders come again when the storage cannot take their samples, and not for anything else", async () => {
  const noSpace = Object.assign(new Error("no"), { code: "ENOSPC" });
  for (const [thrown, status, text] of [
    [diskError("write WAL", noSpace), 503, "cannot write WAL: the disk is full (ENOSPC)\n"],
    [new AppError("unavailable", "the log cannot be written"), 503, "the log cannot be written\n"],
    [new AppError("bad-data", "broken"), 400, undefined],
    [new Error("BUG"), 500, undefined],
  ] as const)
    await withServer({ receive: () => Promise.reject(thrown) }, async (url) => {
      const response = await post(url);
      assert.equal(response.status, status);
      assert.equal(response.headers.get("retry-after"), status === 503 ? "5" : null);
      if (text !== undefined) assert.equal(await response.text(), text);
    });
});

test("requests beyond the limit are told to come again, and a broken off one frees its place", async () => {
  const waiting: (() => void)[] = [];
  const receive = (): Promise<typeof done> =>
    new Promise((resolve) => waiting.push(() => resolve(done)));
  await withServer({ receive }, async (url) => {
    const [first, second] = [post(url), post(url)];
    while (waiting.length < 2) await new Promise(setImmediate);
    const refused = await post(url);
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get("retry-after"), "1");
    for (const end of waiting.splice(0)) end();
    assert.deepEqual([(await first).status, (await second).status], [204, 204]);
    // Two senders that go away in the middle of their bodies.
    await Promise.all(
      [0, 1].map(
        () =>
          new Promise<void>((resolve) => {
            const half = request(url, { method: "POST", headers: { "content-length": 50 } });
            half.on("error", () => resolve());
            half.write(new Uint8Array(10), () => setTimeout(() => half.destroy(), 50));
          }),
      ),
    );
    const third = post(url);
    while (waiting.length < 1) await new Promise(setImmediate);
    waiting.splice(0).forEach((end) => end());
    assert.equal((await third).status, 204);
  });
});
