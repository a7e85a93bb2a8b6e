import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { XOR_KERNEL } from "./testdata/xor-kernel.ts";
import { XOR_KERNEL_SOURCE_SHA256 } from "./xor-kernel.gen.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = XOR_KERNEL_SOURCE_SHA256;
  if (await isCompiled(XOR_KERNEL, { sha256, writer: "xor-kernel.test.ts" })) return;
  assert.fail("xor-kernel.gen.ts was out of date and has been written anew: look at it, run again");
});
