import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompiled } from "../../base/testdata/compile-kernel.ts";
import { RATE_KERNEL } from "../testdata/rate-kernel.ts";
import { RATE_KERNEL_SOURCE_SHA256 } from "./rate-kernel.gen.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = RATE_KERNEL_SOURCE_SHA256;
  if (await isCompiled(RATE_KERNEL, { sha256, writer: "rate-kernel.test.ts" })) return;
  assert.fail(
    "rate-kernel.gen.ts was out of date and has been written anew: look at it, run again",
  );
});
