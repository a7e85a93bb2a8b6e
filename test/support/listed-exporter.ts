/** An exporter under many paths, each a target of a job whose list a test changes as it likes. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { temporaryFolder } from "./processes.ts";

export interface ListedExporter {
  /** For whatever the test needs besides; gone with `stop`. */
  readonly folder: string;
  /** With one job, `a`, that scrapes every second. */
  readonly configFile: string;
  /** Lists the first `count` targets: paths `/0`, `/1` and so on. */
  readonly list: (count: number) => void;
  readonly stop: () => void;
}

export async function startListedExporter(name: string, count: number): Promise<ListedExporter> {
  const folder = temporaryFolder(name);
  const exporter = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end("answered 1\n");
  });
  exporter.listen(0, "127.0.0.1");
  await once(exporter, "listening");
  const address = exporter.address();
  assert.ok(address !== null && typeof address === "object");
  const configFile = join(folder, "prometheus.yml");
  writeFileSync(
    configFile,
    `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs: [{ job_name: a, file_sd_configs: [{ files: [targets.json], refresh_interval: 1s }] }]
`,
  );
  const list = (wanted: number): void => {
    const groups = Array.from({ length: wanted }, (_, i) => ({
      targets: [`127.0.0.1:${address.port}`],
      labels: { __metrics_path__: `/${i}` },
    }));
    writeFileSync(join(folder, "targets.json"), JSON.stringify(groups));
  };
  list(count);
  return {
    folder,
    configFile,
    list,
    stop: () => {
      exporter.closeAllConnections();
      exporter.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
