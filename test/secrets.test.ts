import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { apiData, sleep, startShoal, temporaryFolder, until } from "./support/processes.ts";

/** Stands in every place of the configuration that holds a secret, each time with another number. */
const SECRET = "canary-41c8d0e7";

/** Nothing listens there: what matters is what is said about it. */
const NOWHERE = "127.0.0.1:9";

function configText(): string {
  let count = 0;
  const secret = (): string => `${SECRET}-${++count}`;
  const auths = [
    `basic_auth: { username: u, password: ${secret()} }`,
    `authorization: { credentials: ${secret()} }`,
    `oauth2: { client_id: c, client_secret: ${secret()}, token_url: "http://${NOWHERE}/token" }`,
    `proxy_url: "http://proxy:${secret()}@${NOWHERE}"`,
    `http_headers: { X-Key: { secrets: [${secret()}] } }`,
  ];
  const jobs = auths.map(
    (auth, i) => `- job_name: job-${i}
  ${auth}
  static_configs: [{ targets: ["${NOWHERE}"] }]`,
  );
  return `global: { scrape_interval: 1s, scrape_timeout: 1s }
alerting:
  alertmanagers:
  - basic_auth: { username: u, password: ${secret()} }
    static_configs: [{ targets: ["${NOWHERE}"] }]
remote_write:
- url: "http://writer:${secret()}@${NOWHERE}/write"
  authorization: { credentials: ${secret()} }
- url: http://${NOWHERE}/write
  sigv4: { region: r, access_key: a, secret_key: ${secret()} }
scrape_configs:
${jobs.join("\n")}
- job_name: found-by-http
  http_sd_configs: [{ url: "http://sd:${secret()}@${NOWHERE}/targets", authorization: { credentials: ${secret()} } }]
- job_name: found-by-consul
  consul_sd_configs: [{ server: "${NOWHERE}", token: ${secret()} }]
- job_name: found-by-ec2
  ec2_sd_configs: [{ region: r, endpoint: "http://${NOWHERE}", access_key: a, secret_key: ${secret()} }]
`;
}

const PATHS = [
  "/",
  "/metrics",
  "/api/v1/targets",
  "/api/v1/targets?state=any&statistics=with",
  "/api/v1/shards?history=1h",
  "/api/v1/plan",
  "/api/v1/plan?format=text",
  "/api/v1/decisions",
  "/api/v1/conditions",
  "/api/v1/samples?with_metrics_detail=true",
  "/api/v1/runtimeinfo",
  "/api/v1/why?target=job-0",
  "/api/v1/why?target=job-3",
  "/api/v1/status/config",
  "/api/v1/status/flags",
  "/api/v1/status/runtimeinfo",
  "/api/v1/scrape_pools",
  "/api/v1/endpoints",
  "/api/v1/series?match[]=up",
];
const SHARD_PATHS = [
  "/metrics",
  "/api/v1/shard/runtimeinfo",
  "/api/v1/shard/targets/status",
  "/api/v1/shard/assignment",
  "/api/v1/status/config",
];

test("no endpoint, log line, command line or file for others shows a secret of the configuration", async () => {
  const folder = temporaryFolder("secrets");
  const configFile = join(folder, "prometheus.yml");
  const text = configText();
  const secretCount = text.split(SECRET).length - 1;
  assert.ok(secretCount >= 12);
  writeFileSync(configFile, text);
  const data = join(folder, "data");
  const up = await startShoal({
    args: [
      "up",
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${data}`,
      "--coordinator.interval=1s",
      "--log.level=debug",
      "--web.enable-lifecycle",
    ],
  });
  try {
    const shard = await until("all static targets are on a shard and have failed", async () => {
      const answer = await apiData<{ activeTargets: { health: string }[] }>(
        `${up.url}/api/v1/targets`,
      );
      const isTried =
        answer.activeTargets.length === 5 &&
        answer.activeTargets.every(({ health }) => health === "down");
      if (!isTried) return undefined;
      const { shards } = await apiData<{ shards: { http: string; pid: number }[] }>(
        `${up.url}/api/v1/shards`,
      );
      return shards[0];
    });
    await fetch(`${up.url}/-/reload`, { method: "POST" });
    await sleep(1_500);
    const bare = (shown: string, where: string): void =>
      assert.ok(!shown.includes(SECRET), `${where} shows a secret`);
    for (const path of PATHS) {
      const response = await fetch(`${up.url}${path}`);
      bare(await response.text(), path);
      assert.ok(response.status < 500, `${path}: HTTP ${response.status}`);
    }
    for (const path of SHARD_PATHS) {
      const response = await fetch(`http://${shard.http}${path}`);
      bare(await response.text(), `the shard's ${path}`);
      assert.equal(response.status, 200, path);
    }
    bare(up.output(), "the log");
    for (const pid of [up.pid, shard.pid])
      bare(readFileSync(`/proc/${pid}/cmdline`, "utf8"), `the command line of ${pid}`);
    // A shard needs the configuration after a restart: it is the owner's alone. No other file has a secret.
    for (const name of readdirSync(data, { recursive: true, encoding: "utf8" })) {
      const path = join(data, name);
      if (!statSync(path).isFile() || !readFileSync(path, "latin1").includes(SECRET)) continue;
      assert.equal(statSync(path).mode & 0o077, 0, `${name} is readable by others`);
      assert.match(name, /^shards\/\d+\/shard\/config\.json$/);
    }
  } finally {
    await up.stop();
    rmSync(folder, { recursive: true, force: true });
  }
});
