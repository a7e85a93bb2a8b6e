import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { Secret } from "../config/secret.ts";
import type { OAuth2Config } from "../config/types.ts";
import { createHttpClient, type HttpClient } from "./client.ts";
import { readText } from "./read-body.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { testProxy, testTls } from "./test-config.ts";

async function serve(
  t: TestContext,
  handler: (request: IncomingMessage, body: string, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += String(chunk)));
    request.on("end", () => handler(request, body, response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function connect(t: TestContext, oauth2: Partial<OAuth2Config>, now = () => 0): HttpClient {
  const config = plainHttpClient({
    oauth2: {
      clientId: "me",
      clientSecret: new Secret("s&cret"),
      clientSecretFile: "",
      scopes: ["a", "b"],
      tokenUrl: "",
      endpointParams: { audience: "x" },
      tls: testTls(),
      proxy: testProxy(),
      ...oauth2,
    },
  });
  const client = createHttpClient(config, {
    userAgent: "test",
    clock: { ...systemClock, now },
  });
  t.after(() => client.close());
  return client;
}

async function get(client: HttpClient, url: string): Promise<string> {
  const response = await client.request({ url, timeoutMs: 5000 });
  return `${response.status} ${await readText(response.body, 10_000)}`;
}

const basic = `Basic ${Buffer.from("me:s%26cret").toString("base64")}`;

test("one token serves many requests until it is about to expire", async (t) => {
  const asked: string[] = [];
  const tokenUrl = await serve(t, (request, body, response) => {
    asked.push(`${request.headers.authorization} ${body}`);
    const answer = { access_token: `token-${asked.length}`, token_type: "bearer", expires_in: 60 };
    response.end(JSON.stringify(answer));
  });
  const url = await serve(t, (request, _body, response) =>
    response.end(request.headers.authorization),
  );
  let now = 0;
  const client = connect(t, { tokenUrl }, () => now);
  const first = await Promise.all([get(client, url), get(client, url), get(client, url)]);
  assert.deepEqual(first, Array(3).fill("200 Bearer token-1"));
  assert.deepEqual(asked, [`${basic} grant_type=client_credentials&audience=x&scope=a+b`]);
  now = 49_000;
  assert.equal(await get(client, url), "200 Bearer token-1");
  now = 51_000;
  assert.equal(await get(client, url), "200 Bearer token-2");
});

test("a refused token is renewed once", async (t) => {
  let tokens = 0;
  let refuse = 1;
  const tokenUrl = await serve(t, (_request, _body, response) =>
    response.end(JSON.stringify({ access_token: String(++tokens) })),
  );
  const url = await serve(t, (request, _body, response) => {
    if (refuse-- > 0) response.statusCode = 401;
    response.end(request.headers.authorization);
  });
  const client = connect(t, { tokenUrl });
  assert.equal(await get(client, url), "200 Bearer 2");
  refuse = 2;
  assert.equal(await get(client, url), "401 Bearer 3");
});

test("a server that wants the secret in the body gets it there", async (t) => {
  const asked: string[] = [];
  const tokenUrl = await serve(t, (request, body, response) => {
    asked.push(body);
    if (request.headers.authorization !== undefined) response.statusCode = 401;
    response.end(JSON.stringify({ access_token: "t", expires_in: "3600" }));
  });
  const url = await serve(t, (request, _body, response) =>
    response.end(request.headers.authorization),
  );
  assert.equal(await get(connect(t, { tokenUrl }), url), "200 Bearer t");
  assert.equal(asked.length, 2);
  assert.match(asked[1]!, /client_id=me&client_secret=s%26cret$/);
});

test("a token server that fails is named, its secret is not", async (t) => {
  const url = await serve(t, (_request, _body, response) => response.end());
  const f = async (status: number, body: string, message: RegExp): Promise<void> => {
    const tokenUrl = await serve(t, (_request, _body, response) => {
      response.statusCode = status;
      response.end(body);
    });
    await assert.rejects(get(connect(t, { tokenUrl }), url), (error: Error) => {
      assert.match(error.message, message);
      assert.ok(!error.message.includes("cret"));
      return true;
    });
  };
  await f(500, "", /oauth2: cannot fetch token: 500 Internal Server Error/);
  await f(403, "", /oauth2: cannot fetch token: 403 Forbidden/);
  await f(200, "<html>", /oauth2: cannot parse json/);
  await f(200, "{}", /oauth2: server response missing access_token/);
});

test("the token stays with its host on a redirect", async (t) => {
  const tokenUrl = await serve(t, (_request, _body, response) =>
    response.end(JSON.stringify({ access_token: "t" })),
  );
  const other = await serve(t, (request, _body, response) =>
    response.end(String(request.headers.authorization)),
  );
  const url = await serve(t, (_request, _body, response) =>
    response.writeHead(302, { location: other }).end(),
  );
  assert.equal(await get(connect(t, { tokenUrl }), url), "200 undefined");
});
