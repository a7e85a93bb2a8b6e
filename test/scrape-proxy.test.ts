/** With SCRAPE_PROXY set, as for Kvass, every scrape and test scrape goes through that proxy. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { apiData, startShoal, until } from "./support/processes.ts";
import { startRecordingExporter } from "./support/recording-exporter.ts";

interface Seen {
  readonly url: string;
  readonly origin: string | undefined;
  readonly credentials: string | undefined;
}

test("all scrapes go through SCRAPE_PROXY, and its password is shown nowhere", async (t) => {
  const exporter = await startRecordingExporter();
  t.after(() => exporter.close());
  const seen: Seen[] = [];
  const proxy = createServer((request, response) => {
    seen.push({
      url: request.url ?? "",
      origin: request.headers["origin-proxy"] as string | undefined,
      credentials: request.headers["proxy-authorization"],
    });
    request.pipe(
      httpRequest(request.url!, { method: request.method }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      }),
    );
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  t.after(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const { port } = proxy.address() as AddressInfo;
  process.env["SCRAPE_PROXY"] = `http://u:hunter2@127.0.0.1:${port}`;
  t.after(() => delete process.env["SCRAPE_PROXY"]);
  const up = await startShoal({
    args: ["up", "--coordinator.interval=1s"],
    config: `global: {scrape_interval: 1s}
scrape_configs:
- {job_name: plain, static_configs: [{targets: ["${exporter.address}"]}]}
- {job_name: proxied, proxy_url: "http://127.0.0.1:9", static_configs: [{targets: ["${exporter.address}"], labels: {a: b}}]}
`,
  });
  t.after(() => up.stop());
  await until("both are scraped", async () => {
    const url = `${up.url}/api/v1/query?query=${encodeURIComponent("sum(up)")}`;
    const data = await apiData<{ result: { value: [number, string] }[] }>(url).catch(
      () => undefined,
    );
    return data?.result[0]?.value[1] === "2" || undefined;
  });
  await until("each was asked a few times", async () => seen.length >= 8 || undefined);
  assert(exporter.requests.length <= seen.length, "a scrape went past the proxy");
  assert.deepEqual(
    new Set(seen.map(({ url }) => url)),
    new Set([`http://${exporter.address}/metrics`]),
  );
  assert.deepEqual(
    new Set(seen.map(({ origin }) => origin)),
    new Set([undefined, "http://127.0.0.1:9"]),
  );
  assert.deepEqual(
    new Set(seen.map(({ credentials }) => credentials)),
    new Set([`Basic ${btoa("u:hunter2")}`]),
  );
  const flags = await apiData<Record<string, string>>(`${up.url}/api/v1/status/flags`);
  assert.equal(flags["scrape.proxy"], `http://u:xxxxx@127.0.0.1:${port}/`);
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    let line = "";
    try {
      line = readFileSync(`/proc/${pid}/cmdline`, "utf8");
    } catch {
      // It has ended meanwhile.
    }
    assert(!line.includes("hunter2"), `process ${pid} shows the password`);
  }
  assert(!up.output().includes("hunter2"), "the log shows the password");
});
