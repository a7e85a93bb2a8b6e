/** The real Kvass (`KVASS_BINARY`), and what is said between it and ours. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from "node:http";
import {
  apiData,
  freePort,
  type RunningProcess,
  startChild,
  stopProcess,
  temporaryFolder,
  until,
} from "./processes.ts";
import { type RecordingExporter, startRecordingExporter } from "./recording-exporter.ts";
import { startBeside } from "./sidecar-shards.ts";

export const SERIES = 30;
export const EXPORTERS = 6;
const BODY = Array.from({ length: SERIES }, (_, i) => `work{i="${i}"} ${i}\n`).join("");
const src = join(dirname(dirname(dirname(fileURLToPath(import.meta.url)))), "src");

export interface Status {
  readonly lastError: string;
  readonly health: string;
  readonly series: number;
  readonly totalSeries: number;
}

export interface Known extends Status {
  readonly hash?: string;
  readonly labels: Record<string, string>;
  readonly shards: readonly string[];
}

export interface KvassShard {
  sidecar: RunningProcess;
  readonly prometheus: RunningProcess;
  readonly url: string;
  readonly store: string;
  readonly output: string;
}

/** The keys of an answer as they are written: JavaScript's numbers hold 53 bits. */
export async function hashesAt(url: string): Promise<string[]> {
  const text = await (await fetch(`${url}/api/v1/shard/targets/status/`)).text();
  return [...text.matchAll(/"(\d+)":\{/g)].map((match) => match[1]!).sort();
}

export async function targetsAt(url: string): Promise<Known[]> {
  const path = "/api/v1/targets?state=active";
  return (await apiData<{ activeTargets: Known[] }>(url + path)).activeTargets;
}

export function record(file: string, recording: unknown): void {
  if (process.env["SHOAL_REWRITE"] !== "1") return;
  mkdirSync(dirname(join(src, file)), { recursive: true });
  writeFileSync(join(src, file), `${JSON.stringify(recording, null, 2)}\n`);
}

export function configText(addresses: readonly string[], dropped: string): string {
  const list = addresses.map((address) => `"${address}"`);
  return `global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {cluster: real}}
scrape_configs:
- job_name: plain
  static_configs: [{targets: [${list.slice(0, 4).join(", ")}], labels: {zone: Zürich}}]
  metric_relabel_configs: [{source_labels: [i], regex: "${dropped}", action: drop}]
- job_name: "with parameters"
  metrics_path: /probe
  params: {module: [default, second], x: ["1"]}
  static_configs: [{targets: [${list.slice(4).join(", ")}]}]
  metric_relabel_configs: [{source_labels: [i], regex: "${dropped}", action: drop}]
`;
}

/** For node:test's `skip`: false when there is a Kvass, else the line that says how to get one in. */
export function skipWithoutKvass(): false | string {
  return kvassBinary() === undefined
    ? "skipped: KVASS_BINARY names no Kvass (v0.3.2, built from github.com/tkestack/kvass)"
    : false;
}

function kvassBinary(): string | undefined {
  return process.env["KVASS_BINARY"] || undefined;
}

/** Starts `kvass` and waits until it listens at `url`. */
export async function startKvass(args: readonly string[], url: string): Promise<RunningProcess> {
  const program = kvassBinary();
  if (program === undefined) throw new Error("KVASS_BINARY is not set");
  const child = startChild(program, args);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  const stop = (): Promise<void> => stopProcess(child);
  try {
    await until(`${url} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}`);
      return (await fetch(`${url}/metrics`).catch(() => undefined))?.ok === true || undefined;
    });
  } catch (error) {
    await stop();
    throw new Error(`cannot start kvass ${args.join(" ")}: ${output}`, { cause: error });
  }
  return { url, pid: child.pid!, child, output: () => output, stop };
}

/** One question and its answer, as they went over the wire. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
  readonly answer: string;
}

export interface RecordingProxy {
  readonly url: string;
  readonly exchanges: Exchange[];
  readonly close: () => void;
}

/** Passes everything on to `target` and writes down what was said. */
export async function recordingProxy(target: string): Promise<RecordingProxy> {
  const exchanges: Exchange[] = [];
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await textOf(request);
    const { method = "GET", url: path = "/", headers } = request;
    const asked = httpRequest(`${target}${path}`, { method, headers }).end(body);
    const [answered] = (await once(asked, "response")) as [IncomingMessage];
    const answer = await textOf(answered);
    const status = answered.statusCode ?? 0;
    exchanges.push({ method, path, body, status, answer });
    response.writeHead(status, { "Content-Type": answered.headers["content-type"] ?? "" });
    response.end(answer);
  };
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address !== "object") throw new Error("no address");
  return {
    url: `http://127.0.0.1:${address.port}`,
    exchanges,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("utf8");
}

/** Exporters for a group of tests, and whatever runs beside them until the end. */
export class KvassWorld {
  readonly folder = temporaryFolder("kvass");
  readonly running: { readonly stop: () => Promise<void> }[] = [];
  exporters: RecordingExporter[] = [];

  get addresses(): string[] {
    return this.exporters.map(({ address }) => address);
  }

  async start(): Promise<void> {
    const all = Array.from({ length: EXPORTERS }, () => startRecordingExporter(BODY));
    this.exporters = await Promise.all(all);
  }

  async stop(): Promise<void> {
    for (const { stop } of this.running.toReversed()) await stop();
    for (const { close } of this.exporters) close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /**
   * Kvass's sidecar in front of a real Prometheus. It takes its configuration from the coordinator, or reads `configFile`;
   * then it needs a Prometheus to reload before it starts.
   */
  async startTheirShard(name: string, configFile = ""): Promise<KvassShard> {
    const [store, output] = [join(this.folder, name), join(this.folder, `${name}.yml`)];
    const [api, proxy, port] = [await freePort(), await freePort(), await freePort()];
    const url = `http://127.0.0.1:${api}`;
    const start = (): Promise<RunningProcess> =>
      startKvass(
        [
          "sidecar",
          `--config.file=${configFile}`,
          `--config.output-file=${output}`,
          `--store.path=${store}`,
          `--web.api-addr=127.0.0.1:${api}`,
          `--web.proxy-addr=127.0.0.1:${proxy}`,
          `--inject.proxy=http://127.0.0.1:${proxy}`,
          `--prometheus.url=http://127.0.0.1:${port}`,
        ],
        url,
      );
    if (configFile !== "") writeFileSync(output, "global: {}\n");
    const starting = configFile === "" ? start() : undefined;
    await until("its first configuration is there", async () => existsSync(output) || undefined);
    const prometheus = await startBeside({ output, prometheusPort: port });
    this.running.push(prometheus);
    const sidecar = await (starting ?? start());
    this.running.push(sidecar);
    return { sidecar, prometheus, url, store, output };
  }
}
