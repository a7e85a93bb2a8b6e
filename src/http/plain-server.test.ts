import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { describe, it, type TestContext } from "node:test";
import fc from "fast-check";
import { parseHead, PlainRequestError } from "./plain-head.ts";
import { PlainServer, type PlainServerOptions } from "./plain-server.ts";

const TEXT = ["Content-Type", "text/plain"];

async function start(
  context: TestContext,
  onRequest: PlainServerOptions["onRequest"],
  options: Partial<PlainServerOptions> = {},
): Promise<number> {
  const server = new PlainServer({
    headTimeoutMs: 10_000,
    idleTimeoutMs: 10_000,
    ...options,
    onRequest,
  });
  await server.listen({ host: "127.0.0.1", port: 0 });
  context.after(() => server.close());
  return server.address().port;
}

/** Writes `pieces` on a connection of its own, and resolves to all that came until it was closed. */
async function talk(port: number, pieces: readonly (string | Buffer)[]): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  let received = "";
  socket.on("data", (data: Buffer) => (received += data.toString("latin1")));
  socket.on("error", () => {});
  await once(socket, "connect");
  for (const piece of pieces) {
    socket.write(piece);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  if (!socket.closed) await once(socket, "close");
  return received;
}

function statusOf(head: string): number {
  try {
    parseHead(head);
    return 200;
  } catch (error) {
    assert.ok(error instanceof PlainRequestError);
    return 400;
  }
}

describe("PlainServer", () => {
  it("answers what node:http asks, small and large, over kept connections", async (context) => {
    const large = Buffer.alloc(3_000_000, "x");
    const port = await start(context, (head, reply) => {
      const body = head.target === "/large" ? large : Buffer.from(head.headers.get("x-say") ?? "");
      void reply.send({ status: head.target === "/none" ? 404 : 200, headers: TEXT, body });
    });
    for (const [path, status, size] of [
      ["/small", 200, 5],
      ["/large", 200, large.length],
      ["/none", 404, 5],
    ] as const) {
      const asked = request({ port, host: "127.0.0.1", path, headers: { "X-Say": "hello" } }).end();
      const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
      let length = 0;
      response.on("data", (data: Buffer) => (length += data.length));
      await once(response, "end");
      assert.deepEqual([response.statusCode, length], [status, size]);
      assert.equal(response.headers["content-type"], "text/plain");
    }
  });

  it("reads a head whatever pieces it comes in, and several at once in their order", async (context) => {
    const targets: string[] = [];
    const port = await start(context, (head, reply) => {
      targets.push(head.target);
      setTimeout(() => void reply.send({ status: 200, headers: [], body: Buffer.from("ok") }), 5);
    });
    const one = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
    const last = "GET /b HTTP/1.1\r\nHost: x\r\nConnection: Close\r\n\r\n";
    const answer = await talk(port, Array.from(one + one + last));
    assert.equal(answer.split("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n").length, 4);
    assert.deepEqual(targets, ["/a", "/a", "/b"]);
    await talk(port, [one.repeat(700) + last]);
    assert.equal(targets.length, 3 + 701);
  });

  it("ends a connection whose head is too large, too slow or idle", async (context) => {
    const port = await start(
      context,
      (_head, reply) => void reply.send({ status: 200, headers: [], body: Buffer.from("ok") }),
      { headTimeoutMs: 100, idleTimeoutMs: 50, maxHeadBytes: 100 },
    );
    const start1 = "GET / HTTP/1.1\r\nHost: x\r\n";
    assert.match(await talk(port, [`${start1}A: ${"a".repeat(100)}\r\n\r\n`]), /^HTTP\/1.1 431 /);
    assert.match(await talk(port, [`${start1}A: ${"a".repeat(100)}`]), /^HTTP\/1.1 431 /);
    assert.match(await talk(port, [start1]), /^HTTP\/1.1 408 /);
    assert.equal(await talk(port, []), "");
    assert.match(await talk(port, [`${start1}\r\n`]), /^HTTP\/1.1 200 OK/);
  });

  it("tells when the asker has gone away before its answer", async (context) => {
    const gone = Promise.withResolvers<boolean>();
    const port = await start(context, (_head, reply) => {
      reply.onGone(() => {
        void reply
          .send({ status: 200, headers: [], body: Buffer.alloc(1 << 20) })
          .then(() => gone.resolve(reply.isClosed));
      });
    });
    const socket = connect(port, "127.0.0.1");
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    setTimeout(() => socket.destroy(), 20);
    assert.equal(await gone.promise, true);
  });

  it("writes no header that would end its line", async (context) => {
    const port = await start(context, (_head, reply) => {
      // U+010D and U+010A become CR and LF in Latin-1.
      const headers = ["A", "1\r\nB: 2", "C", "\u010d\u010aD: 3", "E", "4"];
      void reply.send({ status: 200, headers, body: Buffer.from(""), closes: true });
    });
    assert.equal(
      await talk(port, ["GET / HTTP/1.1\r\nHost: x\r\n\r\n"]),
      "HTTP/1.1 200 OK\r\nE: 4\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    );
  });

  it("sends no body to HEAD", async (context) => {
    const port = await start(context, (_head, reply) => {
      void reply.send({ status: 405, headers: [], body: Buffer.from("only GET"), closes: true });
    });
    const answer = await talk(port, ["HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"]);
    assert.match(answer, /^HTTP\/1.1 405 [^]*Content-Length: 8\r\nConnection: close\r\n\r\n$/);
  });
});

describe("parseHead", () => {
  it("refuses what can be understood in two ways", () => {
    const good = "GET / HTTP/1.1\r\nHost: x";
    assert.equal(statusOf(good), 200);
    for (const bad of [
      "",
      "GET / HTTP/1.1",
      "GET  / HTTP/1.1\r\nHost: x",
      "get / HTTP/1.1\r\nHost: x",
      "GET / HTTP/1.2\r\nHost: x",
      "GET / HTTP/2.0\r\nHost: x",
      "GET /\u00e4 HTTP/1.1\r\nHost: x",
      `${good}\r\nHost: y`,
      `${good}\r\nA : 1`,
      `${good}\r\n A: 1`,
      `${good}\r\nA: 1\nB: 2`,
      `${good}\r\nA: 1\rB: 2`,
      `${good}\r\nA: 1\0`,
      `${good}\r\nno colon`,
      `${good}\r\nContent-Length: 1`,
      `${good}\r\nContent-Length: 0\r\nContent-Length: 0`,
      `${good}\r\nTransfer-Encoding: chunked`,
    ])
      assert.equal(statusOf(bad), 400, JSON.stringify(bad));
  });

  it("gives headers back as they were sent", () => {
    const head = parseHead("GET http://a/b?c HTTP/1.0\r\nA:  one two\t\r\na: three\r\nB:");
    assert.deepEqual(
      [head.method, head.target, head.keepsAlive, [...head.headers]],
      [
        "GET",
        "http://a/b?c",
        false,
        [
          ["a", "one two, three"],
          ["b", ""],
        ],
      ],
    );
  });

  it("never throws anything but a refusal, and takes time in proportion", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        statusOf(text);
        statusOf(`GET / HTTP/1.1\r\nHost: x\r\nA: ${text}`);
      }),
    );
    const started = performance.now();
    statusOf(`GET / HTTP/1.1\r\nHost: x\r\nA: ${"\t ".repeat(8_000)}\u0001`);
    assert.ok(performance.now() - started < 1_000);
  });
});
