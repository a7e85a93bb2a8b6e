/** Federation both ways: a real Prometheus federates from Shoal, and Shoal from a real Prometheus, with honor_labels. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  type RunningProcess,
  skipWithoutParts,
  startNodeExporter,
  startPrometheus,
  startShoal,
  until,
} from "./support/processes.ts";
import { instant } from "./support/queries.ts";

const processes: RunningProcess[] = [];
after(async () => {
  for (const running of processes.reverse()) await running.stop();
});

function direct(address: string): string {
  return `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ["${address}"], labels: { site: "first" } }]
`;
}

function federating(address: string): string {
  return `global: { scrape_interval: 1s, scrape_timeout: 1s }
scrape_configs:
  - job_name: federate
    honor_labels: true
    metrics_path: /federate
    params: { "match[]": ['{job=~".+"}'] }
    static_configs: [{ targets: ["${address}"] }]
`;
}

/** Everything the first server has of the node job, with its labels, as the second must have it too. */
const FEDERATED =
  'count by (job, instance, site, __name__) ({job="node", __name__=~"node_(memory|cpu|uname).*|up"})';

async function follow(first: RunningProcess, second: RunningProcess): Promise<void> {
  const expected = await until("the first server has scraped", async () => {
    const samples = await instant(first.url, FEDERATED, Date.now() / 1000);
    return samples.length > 20 ? samples : undefined;
  });
  const got = await until("the second server has federated all of it", async () => {
    const samples = await instant(second.url, FEDERATED, Date.now() / 1000);
    return samples.length >= expected.length ? samples : undefined;
  });
  assert.deepEqual(got, expected);
  const constant = 'node_memory_MemTotal_bytes{job="node"}';
  const now = Date.now() / 1000;
  assert.deepEqual(
    await instant(second.url, constant, now),
    await instant(first.url, constant, now),
  );
}

test(
  "a real Prometheus federates from Shoal, and Shoal from a real Prometheus",
  { skip: skipWithoutParts(), timeout: 120_000 },
  async (t) => {
    const node = await startNodeExporter();
    processes.push(node);
    const address = new URL(node.url).host;

    await t.test("Prometheus from Shoal", async () => {
      const shoal = await startShoal({
        args: ["up", "--coordinator.interval=1s", "--log.level=warn"],
        config: direct(address),
      });
      processes.push(shoal);
      const prometheus = await startPrometheus({ config: federating(new URL(shoal.url).host) });
      assert.ok(prometheus !== undefined);
      processes.push(prometheus);
      await follow(shoal, prometheus);
    });

    await t.test("Shoal from Prometheus", async () => {
      const prometheus = await startPrometheus({ config: direct(address) });
      assert.ok(prometheus !== undefined);
      processes.push(prometheus);
      const shoal = await startShoal({
        args: ["up", "--coordinator.interval=1s", "--log.level=warn"],
        config: federating(new URL(prometheus.url).host),
      });
      processes.push(shoal);
      await follow(prometheus, shoal);
    });
  },
);
