import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";

/** A target whose number of series the test sets, and when it was scraped. */
export interface GrowingExporter {
  readonly address: string;
  series: number;
  /** When it was asked, ms since 1970. */
  readonly scrapes: readonly number[];
  close(): void;
}

export async function startGrowingExporter(series: number): Promise<GrowingExporter> {
  const scrapes: number[] = [];
  const server = createServer((_request, response) => {
    scrapes.push(Date.now());
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    const lines = Array.from({ length: exporter.series }, (_, i) => `grown{i="${i}"} 1`);
    response.end(`# TYPE grown gauge\n${lines.join("\n")}\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const exporter: GrowingExporter = {
    address: `127.0.0.1:${address.port}`,
    series,
    scrapes,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
  return exporter;
}
