import assert from "node:assert/strict";
import { createSecureServer } from "node:http2";
import { createServer } from "node:https";
import { createServer as createPlainServer } from "node:http";
import type { AddressInfo, Server } from "node:net";
import { after, test, type TestContext } from "node:test";
import type { TLSSocket, TlsOptions } from "node:tls";
import { Secret } from "../config/secret.ts";
import type { HttpClientConfig, TlsConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient, type HttpClientOptions } from "./client.ts";
import { readText } from "./read-body.ts";
import { createTestAuthority } from "./test-certificates.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { testTls } from "./test-config.ts";

const authority = createTestAuthority("Test Authority");
const stranger = createTestAuthority("Another Authority");
const server = authority.issue(["localhost", "127.0.0.1", "named.test"]);

async function listen(t: TestContext, listening: Server): Promise<number> {
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  t.after(() => void listening.close());
  return (listening.address() as AddressInfo).port;
}

/** Answers with what the server saw of the client. */
async function serve(t: TestContext, options: TlsOptions = {}): Promise<string> {
  const https = createServer(
    { cert: server.cert, key: server.key, ...options },
    (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: string };
      const peer = socket.getPeerCertificate();
      response.end(`${socket.getProtocol()} ${socket.servername} ${String(peer.subject?.CN)}`);
    },
  );
  t.after(() => https.closeAllConnections());
  return `https://127.0.0.1:${await listen(t, https)}/`;
}

const clients: HttpClient[] = [];
after(() => Promise.all(clients.map((client) => client.close())));

function connect(
  tls: Partial<TlsConfig>,
  options: Partial<HttpClientOptions> = {},
  config: Partial<HttpClientConfig> = {},
): HttpClient {
  const client = createHttpClient(plainHttpClient({ tls: testTls(tls), ...config }), {
    userAgent: "test",
    fileMaxAgeMs: 0,
    ...options,
  });
  clients.push(client);
  return client;
}

async function get(client: HttpClient, url: string): Promise<string> {
  const response = await client.request({ url, timeoutMs: 5000 });
  return readText(response.body, 10_000);
}

const UNKNOWN = /tls: failed to verify certificate: x509: certificate signed by unknown authority$/;

test("a server is believed when its authority is known", async (t) => {
  const url = await serve(t);
  assert.match(await get(connect({ ca: authority.cert }), url), /^TLSv1\.3 false /);
  await assert.rejects(get(connect({}), url), { message: UNKNOWN });
  await assert.rejects(get(connect({ ca: stranger.cert }), url), { message: UNKNOWN });
  assert.match(await get(connect({ insecureSkipVerify: true }), url), /^TLSv1\.3/);
});

test("wrong name, expired, no TLS at all: each says why", async (t) => {
  const misnamed = authority.issue(["other.test"]);
  await assert.rejects(get(connect({ ca: authority.cert }), await serve(t, misnamed)), {
    message: /tls: failed to verify certificate: x509: .*127\.0\.0\.1/,
  });
  const expired = authority.issue(["127.0.0.1"], { expired: true });
  await assert.rejects(get(connect({ ca: authority.cert }), await serve(t, expired)), {
    message: /x509: certificate has expired or is not yet valid$/,
  });
  const plain = createPlainServer((_request, response) => response.end());
  const port = await listen(t, plain);
  await assert.rejects(get(connect({}), `https://127.0.0.1:${port}/`), {
    message: /tls: first record does not look like a TLS handshake$/,
  });
});

test("server_name is sent and checked instead of the address", async (t) => {
  const url = await serve(t);
  const right = connect({ ca: authority.cert, serverName: "named.test" });
  assert.match(await get(right, url), / named\.test /);
  const wrong = connect({ ca: authority.cert, serverName: "wrong.test" });
  await assert.rejects(get(wrong, url), { message: /x509: .*wrong\.test/ });
});

test("versions are bounded", async (t) => {
  const url = await serve(t, { maxVersion: "TLSv1.2" });
  assert.match(await get(connect({ ca: authority.cert, maxVersion: "TLS12" }), url), /^TLSv1\.2/);
  await assert.rejects(get(connect({ ca: authority.cert, minVersion: "TLS13" }), url), {
    code: "unavailable",
  });
});

test("a client certificate is shown; without one the server refuses", async (t) => {
  const url = await serve(t, { requestCert: true, ca: authority.cert });
  const { cert, key } = authority.issue(["shard-0"]);
  const known = connect({ ca: authority.cert, cert, key: new Secret(key) });
  assert.match(await get(known, url), / shard-0$/);
  await assert.rejects(get(connect({ ca: authority.cert }), url), { code: "unavailable" });
});

test("rotated certificate files are used without a restart", async (t) => {
  const url = await serve(t, { requestCert: true, ca: authority.cert });
  const files = new Map([["/ca", authority.cert]]);
  const put = (name: string): void => {
    const { cert, key } = authority.issue([name]);
    files.set("/cert", cert).set("/key", key);
  };
  put("first");
  const client = connect(
    { caFile: "/ca", certFile: "/cert", keyFile: "/key" },
    { readFile: (path) => Promise.resolve(files.get(path)!) },
  );
  assert.match(await get(client, url), / first$/);
  put("second");
  const answers = await Promise.all([get(client, url), get(client, url), get(client, url)]);
  for (const answer of answers) assert.match(answer, / second$/);
  files.set("/ca", stranger.cert);
  await assert.rejects(get(client, url), { message: UNKNOWN });
});

test("HTTP/2 is spoken where both want it", async (t) => {
  const both = createSecureServer(
    { cert: server.cert, key: server.key, allowHTTP1: true },
    (request, response) => response.end(`${request.httpVersion} ${"x".repeat(100_000)}`),
  );
  const sessions = new Set<{ destroy(): void }>();
  both.on("session", (session) => sessions.add(session));
  t.after(() => sessions.forEach((session) => session.destroy()));
  const url = `https://127.0.0.1:${await listen(t, both)}/`;
  const modern = connect({ ca: authority.cert });
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const response = await modern.request({ url, timeoutMs: 5000 });
      return readText(response.body, 1 << 20);
    }),
  );
  for (const answer of answers) {
    assert.match(answer, /^2\.0 x/);
    assert.equal(answer.length, 100_004);
  }
  const old = connect({ ca: authority.cert }, {}, { enableHttp2: false });
  const response = await old.request({ url, timeoutMs: 5000 });
  assert.match(await readText(response.body, 1 << 20), /^1\.1 x/);
  await Promise.all([modern.close(), old.close()]);
});
