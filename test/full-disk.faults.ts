/** A disk that fills again and again, the long form: `npm run test:faults`. */
import { test } from "node:test";
import { fullDisk, skipWithoutMount } from "./support/full-disk.ts";

test(
  "a disk that fills 20 times costs nothing acknowledged",
  { skip: skipWithoutMount(), timeout: 900_000 },
  async () => {
    const { longestMs } = await fullDisk({ cycles: 20 });
    console.log(`stored again at the latest ${Math.round(longestMs)} ms after there was space`);
  },
);
