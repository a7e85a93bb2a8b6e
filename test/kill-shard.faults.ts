/** Kill -9 of a scraping shard, the long form: `npm run test:faults`. */
import { test } from "node:test";
import { killShard } from "./support/kill-shard.ts";

test("a shard killed 60 times loses nothing and stores nothing twice", { timeout: 900_000 }, () =>
  killShard({ kills: 60, seed: Date.now() }),
);
