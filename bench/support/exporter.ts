/**
 * A synthetic exporter for benchmarks, in a process of its own so that its CPU is nobody else's. Serves `targets`
 * ports with `series` series each; bodies are rendered before the first scrape and rotate, so values change.
 * Run by `startExporter`; prints its ports as one JSON line.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { seededRandom } from "../../src/base/random.ts";

/** Bodies per target: scrape n gets body n modulo this. */
const VARIANTS = 4;
/** Series that share one metric name. */
const SERIES_PER_METRIC = 100;

export interface Exporter {
  readonly ports: readonly number[];
  readonly bodyBytes: number;
  stop(): void;
}

export async function startExporter(options: {
  targets: number;
  series: number;
}): Promise<Exporter> {
  const child: ChildProcess = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      fileURLToPath(import.meta.url),
      String(options.targets),
      String(options.series),
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  const { ports, bodyBytes }: { ports: number[]; bodyBytes: number } = JSON.parse(line.toString());
  return { ports, bodyBytes, stop: () => void child.kill("SIGKILL") };
}

/** One body: counters with nine labels once the target's own are added, like a service mesh's. */
export function renderBody(options: { target: number; series: number; variant: number }): string {
  const random = seededRandom(options.target + 1);
  let body = "";
  for (let i = 0; i < options.series; i++) {
    const metric = Math.floor(i / SERIES_PER_METRIC);
    if (i % SERIES_PER_METRIC === 0)
      body += `# HELP bench_requests_${metric}_total Requests served.\n# TYPE bench_requests_${metric}_total counter\n`;
    const base = Math.floor(random.next() * 1e6);
    const value = base + options.variant * Math.floor(random.next() * 100);
    body += `bench_requests_${metric}_total{method="${["GET", "POST", "PUT", "DELETE"][i % 4]}",code="${[200, 404, 500][i % 3]}",handler="/api/v1/resource/${i % SERIES_PER_METRIC}",cluster="eu-west-1",pod="backend-${options.target}-${i % 7}",zone="zone-${i % 3}"} ${value}\n`;
  }
  return body;
}

async function serve(targets: number, series: number): Promise<void> {
  const ports: number[] = [];
  let bodyBytes = 0;
  for (let target = 0; target < targets; target++) {
    const bodies = Array.from({ length: VARIANTS }, (_, variant) =>
      Buffer.from(renderBody({ target, series, variant })),
    );
    bodyBytes = bodies[0]!.length;
    let scrapes = 0;
    const server = createServer((_request, response) => {
      const body = bodies[scrapes++ % VARIANTS]!;
      response
        .writeHead(200, {
          "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
          "Content-Length": body.length,
        })
        .end(body);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address() as AddressInfo;
    ports.push(address.port);
  }
  console.log(JSON.stringify({ ports, bodyBytes }));
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await serve(Number(process.argv[2]), Number(process.argv[3]));
