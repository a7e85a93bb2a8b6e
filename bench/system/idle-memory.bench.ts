/**
 * What an idle `shoal up` weighs: coordinator, query and one shard without targets. RSS counts the pages of the Node binary in
 * every process anew; PSS divides shared pages by the processes that share them, so its sum is what the machine really gives.
 */
import { readdirSync, readFileSync } from "node:fs";
import { rssBytes, sleep, startShoal } from "../../test/support/processes.ts";
import { report } from "../support/report.ts";

const SETTLE_MS = 15_000;
const MEGABYTE = 1e6;

const shoal = await startShoal({
  config: "scrape_configs: []\n",
  args: ["up", "--shard.min-shard=1", "--log.level=error"],
});
try {
  await sleep(SETTLE_MS);
  const tree = [shoal.pid, ...childrenOf(shoal.pid)];
  const sum = (read: (pid: number) => number): number =>
    tree.reduce((total, pid) => total + read(pid), 0) / MEGABYTE;
  report({
    name: `idle, RSS of ${tree.length} processes`,
    unit: "MB",
    ours: sum(rssBytes),
    better: "less",
    gate: "≤ 150 MB or say why",
  });
  report({
    name: `idle, PSS of ${tree.length} processes`,
    unit: "MB",
    ours: sum(pssBytes),
    better: "less",
  });
} finally {
  await shoal.stop();
}

function childrenOf(pid: number): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((other) => {
      if (!Number.isInteger(other)) return false;
      try {
        return (
          Number(readFileSync(`/proc/${other}/stat`, "utf8").split(") ")[1]!.split(" ")[1]) === pid
        );
      } catch {
        return false;
      }
    });
}

function pssBytes(pid: number): number {
  return (
    Number(/^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0) *
    1024
  );
}
