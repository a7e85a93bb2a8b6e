import { test } from "node:test";
import { fullDisk, skipWithoutMount } from "./support/full-disk.ts";

test(
  "a shard whose disk fills twice says so, loses nothing acknowledged and goes on by itself",
  { skip: skipWithoutMount() },
  async () => {
    await fullDisk({ cycles: 2 });
  },
);
