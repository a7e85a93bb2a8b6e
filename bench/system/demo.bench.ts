/** How long the demonstration takes from its start until six targets of 10,045 series are scraped by three shards. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { SHOAL_COMMAND } from "../../test/support/processes.ts";
import { median, report } from "../support/report.ts";

const ROUNDS = 3;

const seconds: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const child = spawn(process.execPath, [...SHOAL_COMMAND, "demo", "--check"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let stdout = "";
  child.stdout.on("data", (data: Buffer) => (stdout += data.toString()));
  const [code] = (await once(child, "close")) as [number | null];
  const figures = JSON.parse(stdout.trim().split("\n").at(-1) ?? "{}") as {
    ok: boolean;
    settleSeconds: number;
  };
  if (code !== 0 || !figures.ok) throw new Error(`the demonstration failed: ${stdout}`);
  seconds.push(figures.settleSeconds);
}
report({ name: "demo settles", unit: "s", ours: median(seconds), better: "less", gate: "≤ 60 s" });
