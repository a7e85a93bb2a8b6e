import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, test, type TestContext } from "node:test";
import { AppError } from "../base/errors.ts";
import { Secret } from "../config/secret.ts";
import type { HttpClientConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient, type HttpClientOptions } from "./client.ts";
import { readText } from "./read-body.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function serve(t: TestContext, handler: Handler): Promise<{ url: string; server: Server }> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}

const clients: HttpClient[] = [];
after(() => Promise.all(clients.map((client) => client.close())));

function connect(
  config: Partial<HttpClientConfig> = {},
  options: Partial<HttpClientOptions> = {},
): HttpClient {
  const client = createHttpClient(plainHttpClient(config), {
    userAgent: "Shoal/test",
    fileMaxAgeMs: 0,
    ...options,
  });
  clients.push(client);
  return client;
}

async function get(client: HttpClient, url: string, timeoutMs = 5000): Promise<string> {
  const response = await client.request({ url, timeoutMs });
  return `${response.status} ${await readText(response.body, 1 << 20)}`;
}

/** Answers with the request's method and the named headers. */
const echo =
  (...names: string[]): Handler =>
  (request, response) =>
    response.end(
      [request.method, ...names.map((name) => `${name}=${String(request.headers[name])}`)].join(
        " ",
      ),
    );

test("status, headers and raw bytes come through, over kept connections", async (t) => {
  let connections = 0;
  const { url, server } = await serve(t, (_request, response) => {
    response.writeHead(404, "Gone Fishing", {
      "Content-Type": "text/plain",
      "Content-Encoding": "gzip",
      "Set-Cookie": ["a", "b"],
    });
    response.end("not really gzip");
  });
  server.on("connection", () => connections++);
  const client = connect();
  for (let i = 0; i < 10; i++) {
    const response = await client.request({ url: `${url}/x?y=1`, timeoutMs: 5000 });
    assert.equal(response.status, 404);
    assert.equal(response.statusText, "Gone Fishing");
    assert.equal(response.headers.get("CONTENT-type"), "text/plain");
    assert.equal(response.headers.get("set-cookie"), "a, b");
    assert.equal(response.headers.get("__proto__"), undefined);
    assert.equal(response.headers.get("toString"), undefined);
    assert.equal(response.finalUrl, `${url}/x?y=1`);
    assert.equal(await readText(response.body, 100), "not really gzip");
  }
  // A request right on the heels of an answer may find the connection not yet free.
  assert.ok(connections <= 2, `${connections} connections`);
});

test("without keep-alive each request has a connection of its own", async (t) => {
  let connections = 0;
  const asked: (string | undefined)[] = [];
  const { url, server } = await serve(t, (request, response) => {
    asked.push(request.headers.connection);
    response.end("ok");
  });
  server.on("connection", () => connections++);
  const client = connect({}, { keepAlive: false });
  for (let i = 0; i < 5; i++) {
    const response = await client.request({ url, timeoutMs: 5000 });
    assert.equal(await readText(response.body, 100), "ok");
  }
  assert.equal(connections, 5);
  assert.deepEqual(
    asked,
    Array.from({ length: 5 }, () => "close"),
  );
  await client.close();
});

test("a request sends its own headers and body", async (t) => {
  const { url } = await serve(t, (request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () =>
      response.end(
        `${request.method} ${request.headers["user-agent"]} ${String(request.headers["x-a"])} ${body}`,
      ),
    );
  });
  const response = await connect().request({
    url,
    method: "POST",
    headers: { "X-A": ["1", "2"] },
    body: "hello",
    timeoutMs: 5000,
  });
  assert.equal(await readText(response.body, 1000), "POST Shoal/test 1, 2 hello");
});

test("credentials are sent as configured", async (t) => {
  const { url } = await serve(t, echo("authorization", "x-own", "x-secret"));
  const f = async (config: Partial<HttpClientConfig>, want: string): Promise<void> =>
    assert.equal(await get(connect(config), url), `200 GET ${want}`);
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
  const none = "x-own=undefined x-secret=undefined";
  await f({}, `authorization=undefined ${none}`);
  await f(
    {
      basicAuth: {
        username: "bob",
        usernameFile: "",
        password: new Secret("pä:ss"),
        passwordFile: "",
      },
    },
    `authorization=${basic("bob:pä:ss")} ${none}`,
  );
  await f(
    { authorization: { type: "Token", credentials: new Secret("t"), credentialsFile: "" } },
    `authorization=Token t ${none}`,
  );
  await f(
    {
      headers: {
        "X-Own": { values: ["a", "b"], secrets: [], files: [] },
        "X-Secret": { values: [], secrets: [new Secret("s")], files: [] },
      },
    },
    "authorization=undefined x-own=a, b x-secret=s",
  );
  const inUrl = url.replace("http://", "http://u%40:p@");
  assert.equal(await get(connect(), inUrl), `200 GET authorization=${basic("u@:p")} ${none}`);
});

test("credential files are read again when they change; a missing one says which", async (t) => {
  const { url } = await serve(t, echo("authorization", "x-f"));
  const texts = new Map([
    ["/user", "bob\n"],
    ["/pass", " one\n"],
    ["/header", "h\n"],
  ]);
  const client = connect(
    {
      basicAuth: {
        username: "",
        usernameFile: "/user",
        password: Secret.NONE,
        passwordFile: "/pass",
      },
      headers: { "X-F": { values: [], secrets: [], files: ["/header"] } },
    },
    {
      readFile: (path) => {
        const text = texts.get(path);
        return text === undefined
          ? Promise.reject(Object.assign(new Error("gone"), { code: "ENOENT" }))
          : Promise.resolve(text);
      },
    },
  );
  const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
  assert.equal(await get(client, url), `200 GET authorization=${basic("bob:one")} x-f=h`);
  texts.set("/pass", "two");
  assert.equal(await get(client, url), `200 GET authorization=${basic("bob:two")} x-f=h`);
  texts.delete("/pass");
  await assert.rejects(get(client, url), {
    code: "unavailable",
    message: `Get "${url}/": cannot read password_file /pass: no such file or directory`,
  });
});

test("a redirect within the host keeps credentials, one to another host never gets them", async (t) => {
  const other = await serve(t, (request, response) => {
    if (request.url === "/back") response.writeHead(302, { location: `${home.url}/end` }).end();
    else echo("authorization", "x-own", "cookie", "x-plain")(request, response);
  });
  const home = await serve(t, (request, response) => {
    const to: Record<string, string> = {
      "/same": "/end",
      "/other": `${other.url}/end`,
      "/there-and-back": `${other.url}/back`,
      "/userinfo": other.url.replace("http://", "http://evil:pw@"),
    };
    const location = to[request.url!];
    if (location === undefined)
      echo("authorization", "x-own", "cookie", "x-plain")(request, response);
    else response.writeHead(302, { location }).end("moved");
  });
  const client = connect({
    authorization: { type: "Bearer", credentials: new Secret("s3cret"), credentialsFile: "" },
    headers: { "X-Own": { values: [], secrets: [new Secret("s")], files: [] } },
  });
  const fetchAt = async (path: string): Promise<string> => {
    const response = await client.request({
      url: home.url + path,
      headers: { cookie: "c=1", "X-Plain": "p" },
      timeoutMs: 5000,
    });
    return `${new URL(response.finalUrl).host} ${await readText(response.body, 1000)}`;
  };
  const hostOf = (url: string): string => new URL(url).host;
  const bare = "authorization=undefined x-own=undefined cookie=undefined x-plain=p";
  assert.equal(
    await fetchAt("/same"),
    `${hostOf(home.url)} GET authorization=Bearer s3cret x-own=s cookie=c=1 x-plain=p`,
  );
  assert.equal(await fetchAt("/other"), `${hostOf(other.url)} GET ${bare}`);
  assert.equal(await fetchAt("/there-and-back"), `${hostOf(home.url)} GET ${bare}`);
  assert.equal(await fetchAt("/userinfo"), `${hostOf(other.url)} GET ${bare}`);
});

test("redirects: methods, limits, wrong targets, and not following at all", async (t) => {
  const { url } = await serve(t, (request, response) => {
    const [, status, to] = request.url!.split("/");
    if (status === "end") echo("content-type")(request, response);
    else if (status === "loop") response.writeHead(301, { location: "/loop" }).end();
    else if (status === "file") response.writeHead(301, { location: "file:///etc/passwd" }).end();
    else if (status === "bare") response.writeHead(302).end("bare");
    else response.writeHead(Number(status), { location: `/${to}` }).end();
  });
  const client = connect();
  const post = async (path: string): Promise<string> => {
    const response = await client.request({
      url: url + path,
      method: "POST",
      headers: { "content-type": "text/x" },
      body: "b",
      timeoutMs: 5000,
    });
    return readText(response.body, 1000);
  };
  assert.equal(await post("/302/end"), "GET content-type=undefined");
  assert.equal(await post("/303/end"), "GET content-type=undefined");
  assert.equal(await post("/307/end"), "POST content-type=text/x");
  assert.equal(await post("/308/end"), "POST content-type=text/x");
  assert.equal(await get(client, `${url}/304/end`), "304 ");
  assert.equal(await get(client, `${url}/bare`), "302 bare");
  await assert.rejects(get(client, `${url}/loop`), {
    message: `Get "${url}/loop": stopped after 10 redirects`,
  });
  await assert.rejects(get(client, `${url}/file`), {
    message: `Get "${url}/file": unsupported protocol scheme "file"`,
  });
  assert.match(await get(connect({ followRedirects: false }), `${url}/301/end`), /^301/);
});

test("the timeout covers connecting, waiting and every byte of the body", async (t) => {
  const { url } = await serve(t, (request, response) => {
    if (request.url === "/silent") return;
    if (request.url === "/redirect") response.writeHead(302, { location: "/endless" }).end();
    else {
      response.write("begin");
      const timer = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(timer));
    }
  });
  const client = connect();
  const timeout = (error: unknown): boolean =>
    error instanceof AppError && error.code === "timeout";
  await assert.rejects(get(client, `${url}/silent`, 50), (error: unknown) => {
    assert.ok(timeout(error));
    assert.equal((error as AppError).message, `Get "${url}/silent": context deadline exceeded`);
    return true;
  });
  await assert.rejects(get(client, `${url}/endless`, 50), timeout);
  await assert.rejects(get(client, `${url}/redirect`, 50), timeout);
});

test("a signal cancels before and while reading", async (t) => {
  const { url } = await serve(t, (_request, response) => void response.write("begin"));
  const client = connect();
  await assert.rejects(client.request({ url, signal: AbortSignal.abort(), timeoutMs: 5000 }), {
    code: "canceled",
    message: `Get "${url}/": context canceled`,
  });
  const controller = new AbortController();
  const response = await client.request({ url, signal: controller.signal, timeoutMs: 5000 });
  controller.abort();
  await assert.rejects(readText(response.body, 1000), { code: "canceled" });
});

test("a reader that leaves early gives the connection up", async (t) => {
  const closed = Promise.withResolvers<void>();
  const { url } = await serve(t, (_request, response) => {
    response.on("close", () => closed.resolve());
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65536)));
      if (!response.destroyed) response.once("drain", more);
    };
    more();
  });
  const response = await connect().request({ url, timeoutMs: 60_000 });
  await assert.rejects(readText(response.body, 1_000_000), { code: "resource-exhausted" });
  await closed.promise;
});

test("a slow reader gets every byte", async (t) => {
  const size = 8 * 1024 * 1024;
  const { url } = await serve(t, (_request, response) => response.end(Buffer.alloc(size, 7)));
  const response = await connect().request({ url, timeoutMs: 10_000 });
  let received = 0;
  for await (const chunk of response.body) {
    received += chunk.length;
    if (received % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(received, size);
});

test("a connection that the server closed while idle is not the request's failure", async (t) => {
  const { url, server } = await serve(t, echo());
  server.keepAliveTimeout = 60_000;
  const client = connect();
  assert.equal(await get(client, url), "200 GET");
  server.closeAllConnections();
  assert.equal(await get(client, url), "200 GET");
});

test("failures read as Prometheus's", async (t) => {
  const { url, server } = await serve(t, (request, response) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("short");
    response.socket!.destroySoon();
    void request;
  });
  await assert.rejects(get(connect(), url), { code: "unavailable" });
  server.close();
  server.closeAllConnections();
  const port = new URL(url).port;
  await assert.rejects(get(connect(), `http://u:secret@127.0.0.1:${port}/x`), {
    code: "unavailable",
    message: `Get "http://u:xxxxx@127.0.0.1:${port}/x": dial tcp 127.0.0.1:${port}: connect: connection refused`,
  });
  await assert.rejects(connect().request({ url: "ftp://h/", timeoutMs: 1 }), {
    code: "bad-data",
    message: 'Get "ftp://h/": unsupported protocol scheme "ftp"',
  });
  await assert.rejects(connect().request({ url: "//h/", timeoutMs: 1 }), { code: "bad-data" });
});

test("requests to one host run side by side, and none waits behind one that hangs", async (t) => {
  const waiting: ServerResponse[] = [];
  const { url } = await serve(t, (request, response) => {
    if (request.url === "/hang") return;
    // Nobody is answered before all three have come.
    waiting.push(response);
    if (waiting.length === 3) for (const one of waiting) one.end("together");
  });
  const client = connect();
  await assert.rejects(get(client, `${url}/hang`, 50), { code: "timeout" });
  const hanging = get(client, `${url}/hang`, 3000);
  const answers = await Promise.all([get(client, url), get(client, url), get(client, url)]);
  assert.deepEqual(answers, Array(3).fill("200 together"));
  await client.close();
  await assert.rejects(hanging, { code: "unavailable" });
});

test("maxConnections bounds connections to one host", async (t) => {
  let open = 0;
  let most = 0;
  const { url } = await serve(t, (_request, response) => {
    most = Math.max(most, ++open);
    setImmediate(() => {
      open--;
      response.end();
    });
  });
  const client = connect({}, { maxConnections: 2 });
  await Promise.all(Array.from({ length: 12 }, () => get(client, url)));
  assert.ok(most <= 2, `${most} at once`);
});
