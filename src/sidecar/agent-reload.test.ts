import assert from "node:assert/strict";
import { test } from "node:test";
import type { Clock } from "../base/clock.ts";
import { AGENT_RELOAD_TIMEOUT_MS, reloadAgent } from "./agent-reload.ts";

/** An agent whose metrics after a reload are those of `later`, one for each look. */
async function reload(first: string, later: readonly string[]): Promise<number> {
  let nowMs = 0;
  let isReloaded = false;
  const left = [...later];
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after: () => () => {},
    sleep: async (ms) => {
      nowMs += ms;
    },
  };
  const client = {
    async reload() {
      isReloaded = true;
    },
    text: async () => (isReloaded ? (left.length > 1 ? left.shift()! : left[0]!) : first),
  };
  await reloadAgent(client, clock);
  return nowMs;
}

const metrics = (reloads: number, errors: number): string =>
  `vm_promscrape_config_last_reload_successful 1
vm_promscrape_config_reloads_errors_total ${errors}
vm_promscrape_config_reloads_total ${reloads}
`;

test("vmagent's answer to a reload is in its metrics", async () => {
  const before = metrics(3, 1);
  assert.equal(await reload(before, [before, metrics(4, 1)]), 200, "it takes a moment");
  await assert.rejects(reload(before, [before, metrics(4, 2)]), {
    code: "bad-data",
    message: /-promscrape\.config\.strictParse=false/,
  });
  assert.equal(await reload(before, [before]), AGENT_RELOAD_TIMEOUT_MS, "nothing has changed");
  assert.equal(await reload("agent_up 1\n", ["agent_up 1\n"]), 0, "another agent does not tell");
});
