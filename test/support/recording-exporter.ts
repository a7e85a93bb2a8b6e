import { once } from "node:events";
import { createServer, type Server } from "node:http";

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

/** So many series of one metric. */
export function seriesText(name: string, count: number): string {
  const lines = Array.from({ length: count }, (_, i) => `${name}{i="${i}"} 1`);
  return `# TYPE ${name} gauge\n${lines.join("\n")}\n`;
}
