import type { Command } from "commander";
import type { WhyData } from "../api/coordinator/why-answer.ts";
import { systemClock } from "../base/clock.ts";
import { ask, CLIENT_FLAGS } from "./ask.ts";
import { explainText } from "./explain-text.ts";
import { addFlags, readEnvironment } from "./flags.ts";
import { shardsText } from "./shards-text.ts";

/** `explain TARGET` and `shards`: ask a running system. */
export function registerExplain(program: Command): void {
  const explain = program
    .command("explain")
    .description(
      "tell which shard scrapes a target, since when and why, and what else was possible",
    )
    .argument("<target>", 'its URL, hash, instance, job/instance, or {job="…",instance="…"}');
  addFlags(explain, CLIENT_FLAGS);
  explain.action(async (target: string) => {
    readEnvironment(explain, CLIENT_FLAGS);
    await ask(explain.opts(), `/api/v1/why?target=${encodeURIComponent(target)}`, (data) =>
      // Shoal's own answer: its shape is WhyData's.
      explainText(data as unknown as WhyData, systemClock.now()),
    );
  });
  const shards = program
    .command("shards")
    .description("list the shards with what they carry and what their limits are");
  addFlags(shards, CLIENT_FLAGS);
  shards.action(async () => {
    readEnvironment(shards, CLIENT_FLAGS);
    await ask(shards.opts(), "/api/v1/shards", shardsText);
  });
}
