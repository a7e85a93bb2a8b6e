/**
 * CPU time of one HTTP request of a 20 kB body over a kept connection: the client with all it does for credentials,
 * deadlines and redirects. The server runs in a process of its own. Run: node bench/http/client.bench.ts
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { createHttpClient } from "../../src/http/client.ts";
import { plainHttpClient } from "../../src/config/plain-http-client.ts";
import { median, report } from "../support/report.ts";

const BODY_BYTES = 20_000;
const REQUESTS = 3000;
const ROUNDS = 5;

if (process.send !== undefined) serve();
else await measure();

function serve(): void {
  const body = Buffer.alloc(BODY_BYTES, "x");
  const server = createServer((_request, response) => response.end(body));
  server.keepAliveTimeout = 60_000;
  server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
  process.on("disconnect", () => process.exit(0));
}

async function measure(): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url));
  const [port] = (await once(child, "message")) as [number];
  const client = createHttpClient(plainHttpClient(), { userAgent: "bench" });
  const url = `http://127.0.0.1:${port}/metrics`;
  const headers = { accept: "text/plain", "accept-encoding": "gzip" };
  const request = async (): Promise<void> => {
    const response = await client.request({ url, headers, timeoutMs: 10_000 });
    let size = 0;
    for await (const chunk of response.body) size += chunk.length;
    if (size !== BODY_BYTES) throw new Error(`${size} bytes came`);
  };
  const rounds: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const before = process.cpuUsage();
    for (let i = 0; i < REQUESTS; i++) await request();
    const { user, system } = process.cpuUsage(before);
    if (round > 0) rounds.push((user + system) / REQUESTS);
  }
  report({
    name: "HTTP request of 20 kB, client CPU",
    unit: "µs",
    ours: median(rounds),
    better: "less",
    gate: "≤ 150 µs",
  });
  await client.close();
  child.disconnect();
}
