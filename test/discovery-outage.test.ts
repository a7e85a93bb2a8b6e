/** A coordinator that starts while its service discovery is down touches nothing that is scraped. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";
import { FakeConsul } from "../src/discovery/consul.fixture.ts";
import { apiData, sleep, startShoal, temporaryFolder, until } from "./support/processes.ts";
import { startRecordingExporter } from "./support/recording-exporter.ts";

interface Shown {
  readonly labels: Readonly<Record<string, string>>;
  readonly health: string;
  readonly shards: readonly string[];
}

test("restarted while Consul is down, the coordinator leaves Consul's targets where they are", async (t) => {
  const exporters = await Promise.all([1, 2, 3].map(() => startRecordingExporter()));
  t.after(() => exporters.forEach((exporter) => exporter.close()));
  const consul = new FakeConsul();
  await consul.start();
  let isConsulUp = true;
  t.after(async () => isConsulUp && consul.stop());
  const register = (id: string, address: string): void =>
    consul.register({
      service: "web",
      id,
      address: "127.0.0.1",
      port: Number(address.split(":")[1]),
    });
  register("web-0", exporters[0]!.address);
  register("web-1", exporters[1]!.address);

  const dataFolder = temporaryFolder("outage");
  const config = `global: {scrape_interval: 1s}
scrape_configs:
- job_name: consul
  consul_sd_configs: [{server: "${consul.address}", refresh_interval: 1s}]
  relabel_configs: [{source_labels: [__meta_consul_service_id], target_label: id}]
`;
  // Were the hold all that protects the targets, they would be gone two seconds after the start.
  const args = ["up", "--coordinator.interval=1s", "--sd.hold-time=2s", "--shard.min-shard=2"];
  const start = () => startShoal({ args, config, dataFolder });
  const shown = async (url: string): Promise<string[]> => {
    const { activeTargets } = await apiData<{ activeTargets: Shown[] }>(`${url}/api/v1/targets`);
    return activeTargets
      .map(({ labels, health, shards }) => `${labels["id"]} ${health} ${shards.join("+")}`)
      .sort();
  };
  const isSettled = (targets: readonly string[], count: number): boolean =>
    targets.length === count && targets.every((text) => / up shard-\d+$/.test(text));

  let up = await start();
  t.after(() => up.stop());
  await until("both are scraped", async () => isSettled(await shown(up.url), 2) || undefined);
  const before = await shown(up.url);

  await consul.stop();
  isConsulUp = false;
  up.child.kill("SIGKILL");
  await once(up.child, "exit");
  const killedAtMs = performance.now();
  up = await start();
  await until(
    "the new one has looked at its shards",
    async () => (await shown(up.url)).length > 0 || undefined,
  );
  const seen = new Set<string>();
  for (const endMs = performance.now() + 8_000; performance.now() < endMs; await sleep(250))
    seen.add((await shown(up.url)).join("; "));
  assert.deepEqual([...seen], [before.join("; ")], "targets were touched");
  for (const { requests } of exporters.slice(0, 2)) {
    const times = requests
      .map(({ timeMs }) => timeMs)
      .filter((timeMs) => timeMs > killedAtMs - 2000);
    const gaps = times.slice(1).map((timeMs, i) => timeMs - times[i]!);
    assert(Math.max(...gaps) < 2500, `a scrape was missed: ${gaps.map(Math.round).join(" ")}`);
  }

  // With Consul back, what changed meanwhile takes effect.
  consul.deregister("web-1");
  register("web-2", exporters[2]!.address);
  await consul.start();
  isConsulUp = true;
  await until(
    "additions and removals are seen",
    async () => {
      const targets = await shown(up.url);
      return (
        (isSettled(targets, 2) && targets[0] === before[0] && targets[1]!.startsWith("web-2")) ||
        undefined
      );
    },
    90_000,
  );
});
