import assert from "node:assert/strict";
import { createServer, request as forward } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { connect as dial, type AddressInfo, type Server, type Socket } from "node:net";
import { after, test, type TestContext } from "node:test";
import { Secret } from "../config/secret.ts";
import type { ProxyConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient } from "./client.ts";
import { createProxyChooser, type Environment } from "./proxy.ts";
import { readText } from "./read-body.ts";
import { createTestAuthority } from "./test-certificates.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { testProxy, testTls } from "./test-config.ts";

const authority = createTestAuthority("Test Authority");

async function listen(t: TestContext, server: Server): Promise<string> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** A forwarding and tunnelling proxy that notes what it was asked. */
async function startProxy(t: TestContext): Promise<{ address: string; seen: string[] }> {
  const seen: string[] = [];
  const note = (line: string, headers: Record<string, unknown>): void =>
    void seen.push(
      `${line} auth=${String(headers["proxy-authorization"])} extra=${String(headers["x-extra"])}`,
    );
  const proxy = createServer((request, response) => {
    note(`${request.method} ${request.url}`, request.headers);
    const headers = { ...request.headers };
    delete headers["proxy-authorization"];
    forward(request.url!, { headers }, (answer) => answer.pipe(response)).end();
  });
  proxy.on("connect", (request, socket: Socket) => {
    note(`CONNECT ${request.url}`, request.headers);
    const [host, port] = request.url!.split(":");
    const upstream = dial(Number(port), host!, () => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(socket);
      socket.pipe(upstream);
    });
    upstream.on("error", () => socket.destroy());
    socket.on("error", () => upstream.destroy());
  });
  return { address: await listen(t, proxy), seen };
}

const clients: HttpClient[] = [];
after(() => Promise.all(clients.map((client) => client.close())));

function connect(proxy: Partial<ProxyConfig>, environment: Environment = {}): HttpClient {
  const config = plainHttpClient({
    proxy: testProxy(proxy),
    tls: testTls({ ca: authority.cert }),
    enableHttp2: false,
    authorization: { type: "Bearer", credentials: new Secret("t"), credentialsFile: "" },
  });
  const client = createHttpClient(config, { userAgent: "test", environment });
  clients.push(client);
  return client;
}

async function get(client: HttpClient, url: string): Promise<string> {
  const response = await client.request({ url, timeoutMs: 5000 });
  return readText(response.body, 10_000);
}

test("http is forwarded and https tunnelled, connect headers only with the tunnel", async (t) => {
  const plain = await listen(
    t,
    createServer((request, response) => response.end(`plain ${request.headers.authorization}`)),
  );
  const secure = await listen(
    t,
    createTlsServer(authority.issue(["127.0.0.1"]), (request, response) =>
      response.end(`secure ${request.headers.authorization}`),
    ),
  );
  const { address, seen } = await startProxy(t);
  const client = connect({
    url: `http://u:p@${address}`,
    connectHeader: { "X-Extra": [new Secret("e")] },
  });
  assert.equal(await get(client, `http://${plain}/a`), "plain Bearer t");
  assert.equal(await get(client, `https://${secure}/b`), "secure Bearer t");
  const auth = `Basic ${Buffer.from("u:p").toString("base64")}`;
  assert.deepEqual(seen, [
    `GET http://${plain}/a auth=${auth} extra=undefined`,
    `CONNECT ${secure} auth=${auth} extra=e`,
  ]);
});

test("a proxy that is not there, and one that refuses", async (t) => {
  const refusing = createServer();
  refusing.on("connect", (_request, socket: Socket) =>
    socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n"),
  );
  const address = await listen(t, refusing);
  await assert.rejects(get(connect({ url: `http://${address}` }), "https://10.0.0.1/"), {
    code: "unavailable",
    message: 'Get "https://10.0.0.1/": proxy refused CONNECT with HTTP status 403',
  });
  await assert.rejects(get(connect({ url: "http://127.0.0.1:1" }), "http://10.0.0.1/"), {
    code: "unavailable",
    message: 'Get "http://10.0.0.1/": dial tcp 127.0.0.1:1: connect: connection refused',
  });
});

test("without a configured proxy the environment is not looked at", async (t) => {
  const plain = await listen(
    t,
    createServer((_request, response) => response.end("direct")),
  );
  const environment = { HTTP_PROXY: "http://127.0.0.1:1", http_proxy: "http://127.0.0.1:1" };
  assert.equal(await get(connect({}, environment), `http://${plain}/`), "direct");
});

test("which URLs go through a proxy", () => {
  const f = (
    config: Partial<ProxyConfig>,
    url: string,
    want: string | undefined,
    environment: Environment = {},
  ): void =>
    assert.equal(
      createProxyChooser(testProxy(config), environment)(new URL(url)),
      want,
      `${JSON.stringify(config)} ${url}`,
    );
  const proxy = "http://p:1";
  const all = { url: proxy };
  f(all, "http://127.0.0.1/", proxy);
  f(all, "https://x.com/", proxy);
  f({ url: "p:1" }, "http://x/", proxy);
  const listed = {
    url: proxy,
    noProxy: "foo.com, .bar.com,*.baz.com,10.0.0.0/8,192.168.1.1,::1,only.com:8080,[fe80::1]:90",
  };
  f(listed, "http://foo.com/", undefined);
  f(listed, "http://a.foo.com:81/", undefined);
  f(listed, "http://FOO.com/", undefined);
  f(listed, "http://xfoo.com/", proxy);
  f(listed, "http://bar.com/", proxy);
  f(listed, "http://a.bar.com/", undefined);
  f(listed, "http://baz.com/", proxy);
  f(listed, "http://a.baz.com/", undefined);
  f(listed, "http://10.1.2.3:9/", undefined);
  f(listed, "http://11.1.2.3:9/", proxy);
  f(listed, "http://192.168.1.1/", undefined);
  f(listed, "http://192.168.1.2/", proxy);
  f(listed, "http://only.com:8080/", undefined);
  f(listed, "http://only.com/", proxy);
  f(listed, "http://[fe80::1]:90/", undefined);
  f(listed, "http://[fe80::1]/", proxy);
  f(listed, "http://localhost:9/", undefined);
  f(listed, "http://127.8.8.8/", undefined);
  f({ url: proxy, noProxy: "*" }, "http://x/", undefined);
  const environment = { HTTP_PROXY: "h:1", https_proxy: "http://s:2", NO_PROXY: "skip.com" };
  f({ fromEnvironment: true }, "http://x/", "http://h:1", environment);
  f({ fromEnvironment: true }, "https://x/", "http://s:2", environment);
  f({ fromEnvironment: true }, "https://skip.com/", undefined, environment);
  f({ fromEnvironment: true }, "http://x/", undefined, {});
});
