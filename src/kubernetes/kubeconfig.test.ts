import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { stringify } from "yaml";
import { FakeKubernetes, type FakeKubernetesOptions } from "../../test/support/fake-kubernetes.ts";
import { systemClock } from "../base/clock.ts";
import { createHttpClient } from "../http/client.ts";
import { createTestAuthority } from "../http/test-certificates.ts";
import { KubeClient } from "./client.ts";
import { inClusterConnection, type KubeConnection } from "./connection.ts";
import { kubeconfigConnection } from "./kubeconfig.ts";
import { NODES } from "./resources.ts";

interface Kubeconfig {
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly user?: Readonly<Record<string, unknown>>;
  readonly context?: Readonly<Record<string, unknown>>;
}

class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "shoal-kubeconfig-"));

  constructor(t: TestContext) {
    t.after(() => rmSync(this.path, { recursive: true, force: true }));
  }

  write(name: string, text: string): string {
    const path = join(this.path, name);
    writeFileSync(path, text);
    return path;
  }

  config(parts: Kubeconfig): string {
    return this.write(
      "config",
      stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "here",
        contexts: [{ name: "here", context: { cluster: "c", user: "u", ...parts.context } }],
        clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:1", ...parts.cluster } }],
        users: [{ name: "u", user: { ...parts.user } }],
      }),
    );
  }
}

function read(path: string, options: { context?: string } = {}): Promise<KubeConnection> {
  return kubeconfigConnection(path, {
    environment: process.env,
    clock: systemClock,
    createHttpClient: (config) => createHttpClient(config, { userAgent: "test" }),
    ...options,
  });
}

async function startFake(t: TestContext, options: FakeKubernetesOptions): Promise<FakeKubernetes> {
  const fake = await FakeKubernetes.start(options);
  t.after(() => fake.stop());
  return fake;
}

function connect(t: TestContext, connection: KubeConnection): KubeClient {
  const client = new KubeClient({
    connection,
    createHttpClient: (config) => createHttpClient(config, { userAgent: "test", fileMaxAgeMs: 0 }),
  });
  t.after(() => client.close());
  return client;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

test("the context chooses cluster, user and namespace", async (t) => {
  const folder = new Folder(t);
  const path = folder.config({
    cluster: {
      server: "https://example.test:6443/base",
      "tls-server-name": "kube",
      "certificate-authority": "ca.pem",
      "proxy-url": "http://proxy.test:3128",
    },
    user: { token: "t", as: "boss", "as-groups": ["g1", "g2"] },
    context: { namespace: "monitoring" },
  });
  const connection = await read(path);
  assert.equal(connection.server, "https://example.test:6443/base");
  assert.equal(connection.namespace, "monitoring");
  const { tls, proxy, headers, authorization } = connection.httpClient;
  assert.equal(tls.serverName, "kube");
  assert.equal(tls.caFile, join(folder.path, "ca.pem"), "relative to the kubeconfig");
  assert.equal(proxy.url, "http://proxy.test:3128");
  assert.equal(authorization?.credentials.reveal(), "t");
  assert.deepEqual(headers["Impersonate-Group"]?.values, ["g1", "g2"]);
  assert.doesNotMatch(JSON.stringify(connection), /"t"/, "the token does not print");
});

test("certificates and keys from data and from files", async (t) => {
  const authority = createTestAuthority("test");
  const server = authority.issue(["127.0.0.1"]);
  const fake = await startFake(t, { tls: { ...server, clientCa: authority.cert } });
  const own = authority.issue(["client"]);
  const folder = new Folder(t);
  const inline = await read(
    folder.config({
      cluster: { server: fake.url, "certificate-authority-data": base64(authority.cert) },
      user: { "client-certificate-data": base64(own.cert), "client-key-data": base64(own.key) },
    }),
  );
  assert.deepEqual((await connect(t, inline).list(NODES)).items, []);
  folder.write("ca.pem", authority.cert);
  folder.write("own.pem", own.cert);
  folder.write("own.key", own.key);
  const files = await read(
    folder.config({
      cluster: { server: fake.url, "certificate-authority": "ca.pem" },
      user: { "client-certificate": "own.pem", "client-key": "own.key" },
    }),
  );
  assert.deepEqual((await connect(t, files).list(NODES)).items, []);
  const nobody = await read(
    folder.config({ cluster: { server: fake.url, "certificate-authority": "ca.pem" } }),
  );
  await assert.rejects(connect(t, nobody).list(NODES), /Get "https/);
  const blind = await read(
    folder.config({
      cluster: { server: fake.url, "insecure-skip-tls-verify": true },
      user: { "client-certificate": "own.pem", "client-key": "own.key" },
    }),
  );
  assert.deepEqual((await connect(t, blind).list(NODES)).items, []);
});

test("a token file is read again as it changes", async (t) => {
  const fake = await startFake(t, { tokens: { one: "a", two: "b" } });
  const folder = new Folder(t);
  folder.write("token", "one\n");
  const client = connect(
    t,
    await read(folder.config({ cluster: { server: fake.url }, user: { tokenFile: "token" } })),
  );
  await client.list(NODES);
  folder.write("token", "two\n");
  await client.list(NODES);
  assert.deepEqual(
    fake.accesses.map(({ user }) => user),
    ["a", "b"],
  );
});

test("a pod finds its cluster, namespace and rotating token", async (t) => {
  const authority = createTestAuthority("test");
  const fake = await startFake(t, {
    tls: authority.issue(["127.0.0.1"]),
    tokens: { one: "a", two: "b" },
  });
  const folder = new Folder(t);
  folder.write("ca.crt", authority.cert);
  folder.write("token", "one");
  folder.write("namespace", "shoal\n");
  const connection = await inClusterConnection({
    environment: {
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: new URL(fake.url).port,
    },
    folder: folder.path,
  });
  assert.equal(connection.namespace, "shoal");
  const client = connect(t, connection);
  await client.list(NODES);
  folder.write("token", "two");
  await client.list(NODES);
  assert.deepEqual(
    fake.accesses.map(({ user }) => user),
    ["a", "b"],
  );
  await assert.rejects(
    inClusterConnection({ environment: {} }),
    /KUBERNETES_SERVICE_HOST .* are not set/,
  );
});

/** A credential plugin that counts its runs and prints token `t<run>`. */
function plugin(folder: Folder, options: { status?: string; exit?: number } = {}): string {
  const path = folder.write(
    "plugin",
    `#!${process.execPath}
const { readFileSync, writeFileSync } = require("node:fs");
let runs = 0;
try { runs = Number(readFileSync(${JSON.stringify(join(folder.path, "runs"))}, "utf8")); } catch {}
writeFileSync(${JSON.stringify(join(folder.path, "runs"))}, String(++runs));
writeFileSync(${JSON.stringify(join(folder.path, "told"))}, JSON.stringify({ args: process.argv.slice(2), env: process.env.PLUGIN_ENV, info: JSON.parse(process.env.KUBERNETES_EXEC_INFO) }));
if (${options.exit ?? 0}) { console.error("log in first"); process.exit(${options.exit ?? 0}); }
console.log(JSON.stringify({ apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: ${options.status ?? '{ token: "t" + runs }'} }));
`,
  );
  chmodSync(path, 0o755);
  return path;
}

const exec = {
  apiVersion: "client.authentication.k8s.io/v1",
  command: "./plugin",
  args: ["get", "token"],
  env: [{ name: "PLUGIN_ENV", value: "yes" }],
  interactiveMode: "Never",
  provideClusterInfo: true,
};

test("a credential plugin runs once, and again when the server refuses what it gave", async (t) => {
  const fake = await startFake(t, { tokens: { t1: "a" } });
  const folder = new Folder(t);
  plugin(folder);
  const client = connect(
    t,
    await read(folder.config({ cluster: { server: fake.url }, user: { exec } })),
  );
  await Promise.all([client.list(NODES), client.list(NODES), client.list(NODES)]);
  assert.equal(readFileSync(join(folder.path, "runs"), "utf8"), "1");
  const told = JSON.parse(readFileSync(join(folder.path, "told"), "utf8")) as Record<
    string,
    unknown
  >;
  assert.deepEqual(told, {
    args: ["get", "token"],
    env: "yes",
    info: {
      apiVersion: "client.authentication.k8s.io/v1",
      kind: "ExecCredential",
      spec: { interactive: false, cluster: { server: fake.url } },
    },
  });
  fake.fail({ action: { status: 401 } });
  await assert.rejects(client.list(NODES), /does not accept the credentials/, "t2 is unknown, too");
  assert.equal(readFileSync(join(folder.path, "runs"), "utf8"), "2");
});

test("a plugin's certificate is presented, and what has expired is asked for anew", async (t) => {
  const authority = createTestAuthority("test");
  const own = authority.issue(["client"]);
  const fake = await startFake(t, {
    tls: { ...authority.issue(["127.0.0.1"]), clientCa: authority.cert },
  });
  const folder = new Folder(t);
  plugin(folder, {
    status: JSON.stringify({
      clientCertificateData: own.cert,
      clientKeyData: own.key,
      expirationTimestamp: "2020-01-01T00:00:00Z",
    }),
  });
  const client = connect(
    t,
    await read(
      folder.config({
        cluster: { server: fake.url, "certificate-authority-data": base64(authority.cert) },
        user: { exec },
      }),
    ),
  );
  await client.list(NODES);
  await client.list(NODES);
  assert.equal(readFileSync(join(folder.path, "runs"), "utf8"), "2");
});

test("a plugin that fails says why, and its output is never shown", async (t) => {
  const folder = new Folder(t);
  const path = folder.config({ user: { exec } });
  const fails = async (message: RegExp): Promise<void> => {
    await assert.rejects(connect(t, await read(path)).list(NODES), (error: Error) => {
      assert.match(error.message, message);
      assert.doesNotMatch(String(error.stack), /hush/);
      return true;
    });
  };
  await fails(/cannot run credential plugin .*\/plugin: no such program/);
  plugin(folder, { exit: 3 });
  await fails(/cannot run credential plugin .*\/plugin: log in first/);
  plugin(folder, { status: '{ hush: "hush" }' });
  await fails(/has neither a token nor a client certificate/);
  plugin(folder, { status: '{ token: "hush", expirationTimestamp: "soon" }' });
  await fails(/expirationTimestamp that is not a time/);
});

function jsonWebToken(expiresAtMs: number, subject: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  return `${part({ alg: "none" })}.${part({ exp: Math.floor(expiresAtMs / 1000), sub: subject })}.x`;
}

test("an OIDC token is used while it lasts, and renewed at its issuer", async (t) => {
  const old = jsonWebToken(Date.now() - 1000, "old");
  const renewed = jsonWebToken(Date.now() + 3_600_000, "new");
  const fake = await startFake(t, { tokens: { [renewed]: "me" } });
  const forms: string[] = [];
  const issuer = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.method === "POST") forms.push(Buffer.concat(chunks).toString());
      response.end(
        request.method === "POST"
          ? JSON.stringify({ id_token: renewed, refresh_token: "r2" })
          : JSON.stringify({ token_endpoint: `${issuerUrl}/token` }),
      );
    });
  }).listen(0, "127.0.0.1");
  await once(issuer, "listening");
  t.after(() => issuer.close());
  const issuerUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}`;
  const config = {
    "id-token": old,
    "refresh-token": "r1",
    "client-id": "cli",
    "client-secret": "s",
    "idp-issuer-url": issuerUrl,
  };
  const folder = new Folder(t);
  const path = (changes: Record<string, string>): string =>
    folder.config({
      cluster: { server: fake.url },
      user: { "auth-provider": { name: "oidc", config: { ...config, ...changes } } },
    });
  const client = connect(t, await read(path({})));
  await client.list(NODES);
  await client.list(NODES);
  assert.deepEqual(forms, [
    "grant_type=refresh_token&refresh_token=r1&client_id=cli&client_secret=s",
  ]);
  const stuck = connect(t, await read(path({ "refresh-token": "" })));
  await assert.rejects(stuck.list(NODES), /id-token that has expired.*log in again/);
});

test("what is wrong with a kubeconfig is said with its place", async (t) => {
  const folder = new Folder(t);
  const f = async (text: string, message: RegExp, context?: string): Promise<void> => {
    const path = folder.write("bad", text);
    await assert.rejects(read(path, context === undefined ? {} : { context }), message);
  };
  await assert.rejects(
    read(join(folder.path, "none")),
    /cannot read kubeconfig .*none: no such file/,
  );
  await f("a: [", /cannot parse kubeconfig .*bad: /);
  await f("[]", /kubeconfig .*bad is not a mapping/);
  await f("{}", /names no current-context/);
  await f("current-context: x", /has nothing named "x" under contexts/);
  const good = readFileSync(folder.config({}), "utf8");
  await f(good, /has nothing named "other" under contexts/, "other");
  await f(
    good.replace("https://127.0.0.1:1", "here"),
    /clusters "c": cluster has no server URL: "here"/,
  );
  await f(
    good.replace("user: {}", "user: {token: [1]}"),
    /users "u": user has a token that is not a text/,
  );
  await f(
    good.replace("user: {}", "user: {auth-provider: {name: gcp}}"),
    /auth-provider "gcp", which is no longer supported; use an exec plugin/,
  );
  await f(
    good.replace("user: {}", "user: {exec: {command: x, apiVersion: v0}}"),
    /exec has the apiVersion "v0"; supported: client\.authentication/,
  );
});
