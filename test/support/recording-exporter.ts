import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { temporaryFolder } from "./processes.ts";

export interface RecordedRequest {
  readonly timeMs: number;
  readonly url: string;
  /** "" without the header. */
  readonly authorization: string;
}

/** An exporter that remembers who asked it what, and when. */
export interface RecordingExporter {
  /** `host:port`. */
  readonly address: string;
  readonly requests: readonly RecordedRequest[];
  readonly close: () => void;
}

export async function startRecordingExporter(
  body: string | (() => string) = "one 1\n",
): Promise<RecordingExporter> {
  const requests: RecordedRequest[] = [];
  const server: Server = createServer((request, response) => {
    const { url = "", headers } = request;
    requests.push({ timeMs: performance.now(), url, authorization: headers.authorization ?? "" });
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end(typeof body === "string" ? body : body());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address !== "object") throw new Error("no address");
  return {
    address: `127.0.0.1:${address.port}`,
    requests,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Exporters that are one job's targets. */
export interface RecordedJob {
  readonly exporters: readonly RecordingExporter[];
  /** For whatever the test needs besides; gone with `close`. */
  readonly folder: string;
  readonly configFile: string;
  readonly close: () => void;
}

export async function startRecordedJob(
  name: string,
  options: {
    readonly count: number;
    /** Scrape interval. Default 1s. */
    readonly interval?: string;
    readonly body?: () => string;
  },
): Promise<RecordedJob> {
  const { count, interval = "1s", body } = options;
  const exporters = await Promise.all(
    Array.from({ length: count }, () => startRecordingExporter(body)),
  );
  const folder = temporaryFolder(name);
  const configFile = join(folder, "prometheus.yml");
  const addresses = exporters.map(({ address }) => `"${address}"`).join(", ");
  writeFileSync(
    configFile,
    `global: {scrape_interval: ${interval}}
scrape_configs: [{job_name: ${name}, static_configs: [{targets: [${addresses}]}]}]
`,
  );
  return {
    exporters,
    folder,
    configFile,
    close: () => {
      for (const exporter of exporters) exporter.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** So many series of one metric. */
export function seriesText(name: string, count: number): string {
  const lines = Array.from({ length: count }, (_, i) => `${name}{i="${i}"} 1`);
  return `# TYPE ${name} gauge\n${lines.join("\n")}\n`;
}
