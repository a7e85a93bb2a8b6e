import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createHttpClient, type HttpClient } from "./client.ts";
import { requestText } from "./plain-pool.ts";
import { readText } from "./read-body.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";

interface Peer {
  readonly url: string;
  /** All connections so far. */
  readonly sockets: readonly Socket[];
  /** All requests so far, as text. */
  readonly requests: readonly string[];
}

/** A server that answers every request with raw bytes, or not at all. */
async function serve(
  t: TestContext,
  answer: (socket: Socket, request: string) => void,
  host = "127.0.0.1",
): Promise<Peer> {
  const sockets: Socket[] = [];
  const requests: string[] = [];
  const server = createServer((socket) => {
    sockets.push(socket);
    let text = "";
    socket.on("error", () => {});
    socket.on("data", (piece) => {
      text += piece.toString("latin1");
      for (let end = text.indexOf("\r\n\r\n"); end >= 0; end = text.indexOf("\r\n\r\n")) {
        const request = text.slice(0, end + 4);
        text = text.slice(end + 4);
        requests.push(request);
        answer(socket, request);
      }
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/m`, sockets, requests };
}

function connect(t: TestContext): HttpClient {
  const client = createHttpClient(plainHttpClient(), { userAgent: "Shoal/test" });
  t.after(() => client.close());
  return client;
}

/** A sink that keeps what it gets. */
function collector(): {
  text: () => string;
  start: () => void;
  write: (piece: Uint8Array) => void;
} {
  const pieces: Buffer[] = [];
  return {
    text: () => Buffer.concat(pieces).toString(),
    start: () => {},
    write: (piece) => void pieces.push(Buffer.from(piece)),
  };
}

const answerOf = (body: string, fields = ""): string =>
  `HTTP/1.1 200 OK\r\n${fields}Content-Length: ${body.length}\r\n\r\n${body}`;

async function get(client: HttpClient, url: string): Promise<string> {
  const response = await client.request({ url, timeoutMs: 5000 });
  return `${response.status} ${await readText(response.body, 1 << 20)}`;
}

test("a request on the wire", async (t) => {
  const peer = await serve(t, (socket) => socket.write(answerOf("x")));
  const response = await connect(t).request({
    url: `${peer.url}?a=ü&b=1`,
    headers: { "Accept-Encoding": "gzip", "X-Two": ["1", "2"] },
    timeoutMs: 5000,
  });
  await readText(response.body, 10);
  assert.deepEqual(peer.requests, [
    `GET /m?a=%C3%BC&b=1 HTTP/1.1\r\nhost: ${new URL(peer.url).host}\r\nconnection: keep-alive\r\n` +
      "user-agent: Shoal/test\r\naccept-encoding: gzip\r\nx-two: 1\r\nx-two: 2\r\n\r\n",
  ]);
});

test("requests out of the ordinary are left to others", () => {
  const f = (path: string, headers: Record<string, string | string[]>): string | undefined =>
    requestText("h", { path, headers });
  assert.equal(
    f("/a", { b: "c" }),
    "GET /a HTTP/1.1\r\nhost: h\r\nconnection: keep-alive\r\nb: c\r\n\r\n",
  );
  assert.equal(f("/a b", {}), undefined);
  assert.equal(f("/a\r\nX: y", {}), undefined);
  assert.equal(f("*", {}), undefined);
  assert.equal(f("/", { "a b": "c" }), undefined);
  assert.equal(f("/", { a: "c\r\nd: e" }), undefined);
  assert.equal(f("/", { a: ["b", "ü"] }), undefined);
  for (const name of ["Host", "connection", "Transfer-Encoding", "content-length", "Expect"])
    assert.equal(f("/", { [name]: "x" }), undefined, name);
});

test("a sink gets a good body while it arrives, and nothing of any other", async (t) => {
  const peer = await serve(t, (socket, request) => {
    const path = request.split(" ")[1];
    if (path === "/m") socket.write(answerOf("good ".repeat(100_000)));
    else if (path === "/moved")
      socket.write("HTTP/1.1 302 Found\r\nLocation: /m\r\nContent-Length: 5\r\n\r\nmoved");
    else socket.write("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
  });
  const client = connect(t);
  const at = (path: string): string => new URL(path, peer.url).href;
  for (const path of ["/m", "/moved"]) {
    const sink = collector();
    const response = await client.request({ url: at(path), sink, timeoutMs: 5000 });
    assert.equal(sink.text(), "good ".repeat(100_000));
    assert.equal(await readText(response.body, 10), "");
  }
  const sink = collector();
  const response = await client.request({ url: at("/busy"), sink, timeoutMs: 5000 });
  assert.equal(`${response.status} ${await readText(response.body, 10)}`, "503 busy");
  assert.equal(sink.text(), "");
  assert.equal(peer.sockets.length, 1);
});

test("what a sink throws is the request's failure as it is, and ends the connection", async (t) => {
  const peer = await serve(t, (socket) => socket.write(answerOf("x".repeat(1000))));
  const client = connect(t);
  for (const where of ["start", "write"] as const) {
    const failure = new Error(`no ${where}`);
    const sink = {
      ...collector(),
      [where]: () => {
        throw failure;
      },
    };
    await assert.rejects(
      client.request({ url: peer.url, sink, timeoutMs: 5000 }),
      (error) => error === failure,
    );
  }
  assert.equal(await get(client, peer.url), `200 ${"x".repeat(1000)}`);
  assert.equal(peer.sockets.length, 3);
});

test("a connection is used again, unless either side is done with it", async (t) => {
  const f = async (answer: string, want: string, connections: number): Promise<void> => {
    const peer = await serve(t, (socket) => {
      socket.write(answer);
      if (want.endsWith("EOF")) socket.end();
    });
    const client = connect(t);
    for (let i = 0; i < 3; i++) {
      assert.equal(await get(client, peer.url), want.replace(" EOF", ""));
      await setImmediate();
    }
    assert.equal(peer.sockets.length, connections, answer);
  };
  await f(answerOf("x"), "200 x", 1);
  await f(answerOf("x", "Keep-Alive: timeout=5\r\n"), "200 x", 1);
  await f(answerOf("x", "Keep-Alive: timeout=1\r\n"), "200 x", 3);
  await f(answerOf("x", "Connection: close\r\n"), "200 x", 3);
  await f("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "200 x", 3);
  await f("HTTP/1.1 200 OK\r\n\r\nx", "200 x EOF", 3);
  // More than was asked for: the answer stands, but whatever follows on the connection is not trusted.
  await f(`${answerOf("x")}${answerOf("evil")}`, "200 x", 3);
});

test("bytes on an idle connection end it", async (t) => {
  const peer = await serve(t, (socket) => socket.write(answerOf("x")));
  const client = connect(t);
  assert.equal(await get(client, peer.url), "200 x");
  const closed = once(peer.sockets[0]!, "close");
  peer.sockets[0]!.write(answerOf("evil"));
  await closed;
  assert.equal(await get(client, peer.url), "200 x");
  assert.equal(peer.sockets.length, 2);
});

test("a lost connection is tried once more before an answer, never within one", async (t) => {
  let answers = 0;
  const peer = await serve(t, (socket) => {
    if (answers++ === 0) socket.write(answerOf("x"));
    else socket.end();
  });
  const client = connect(t);
  assert.equal(await get(client, peer.url), "200 x");
  await assert.rejects(get(client, peer.url), {
    code: "unavailable",
    message: `Get "${peer.url}": EOF`,
  });
  assert.equal(answers, 3);
  const cut = await serve(t, (socket) => socket.end(answerOf("abc").slice(0, -1)));
  await assert.rejects(get(client, cut.url), {
    code: "unavailable",
    message: `Get "${cut.url}": unexpected EOF`,
  });
  assert.equal(cut.requests.length, 1);
  const sink = collector();
  await assert.rejects(client.request({ url: cut.url, sink, timeoutMs: 5000 }), {
    message: `Get "${cut.url}": unexpected EOF`,
  });
  assert.equal(sink.text(), "ab");
});

test("an answer that is none fails in words, on a connection that ends", async (t) => {
  const peer = await serve(t, (socket) => socket.write("SSH-2.0-x\r\n"));
  await assert.rejects(get(connect(t), peer.url), {
    code: "unavailable",
    message: `Get "${peer.url}": malformed HTTP response "SSH-2.0-x"`,
  });
  await once(peer.sockets[0]!, "close");
});

test("time-outs and cancelling end the connection, also while a sink is filled", async (t) => {
  const peer = await serve(t, (socket, request) => {
    if (!request.includes("/silent")) socket.write(answerOf("abc").slice(0, -1));
  });
  const client = connect(t);
  const silent = peer.url.replace("/m", "/silent");
  for (const url of [silent, peer.url])
    await assert.rejects(client.request({ url, sink: collector(), timeoutMs: 30 }), {
      code: "timeout",
      message: `Get "${url}": context deadline exceeded`,
    });
  const controller = new AbortController();
  const sink = { ...collector(), write: () => controller.abort() };
  await assert.rejects(
    client.request({ url: peer.url, sink, signal: controller.signal, timeoutMs: 5000 }),
    { code: "canceled" },
  );
  for (const socket of peer.sockets) if (!socket.destroyed) await once(socket, "close");
  assert.equal(peer.sockets.length, 3);
});

test("a body nobody reads pauses its connection, and comes whole in the end", async (t) => {
  const size = 8 << 20;
  let written = false;
  const peer = await serve(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
    socket.write(Buffer.alloc(size, 7), () => {
      written = true;
    });
  });
  const client = connect(t);
  const response = await client.request({ url: peer.url, timeoutMs: 10_000 });
  let received = 0;
  for await (const piece of response.body) {
    if (received === 0) for (let i = 0; i < 100; i++) await setImmediate();
    if (received === 0) assert.equal(written, false);
    received += piece.length;
  }
  assert.equal(received, size);
  // It is not left paused.
  const second = await client.request({ url: peer.url, timeoutMs: 10_000 });
  await readText(second.body, size);
  assert.equal(peer.sockets.length, 1);
});

test("IPv6 hosts and names are reached", async (t) => {
  const six = await serve(t, (socket) => socket.write(answerOf("six")), "::1").catch(
    () => undefined,
  );
  if (six !== undefined) assert.equal(await get(connect(t), six.url), "200 six");
  const four = await serve(t, (socket) => socket.write(answerOf("four")));
  assert.equal(await get(connect(t), four.url.replace("127.0.0.1", "localhost")), "200 four");
});
