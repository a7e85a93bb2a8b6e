/** The short form of kill-shard.faults.ts. */
import { test } from "node:test";
import { killShard } from "./support/kill-shard.ts";

test("a shard killed 10 times loses nothing and stores nothing twice", { timeout: 180_000 }, () =>
  killShard({ kills: 10, seed: 1 }),
);
