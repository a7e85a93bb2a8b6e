import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { XOR_ENCODE_KERNEL } from "./testdata/xor-encode-kernel.ts";
import { XOR_ENCODE_KERNEL_SOURCE_SHA256 } from "./xor-encode-kernel.gen.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = XOR_ENCODE_KERNEL_SOURCE_SHA256;
  const writer = "xor-encode-kernel.test.ts";
  if (await isCompiled(XOR_ENCODE_KERNEL, { sha256, writer })) return;
  assert.fail(
    "xor-encode-kernel.gen.ts was out of date and has been written anew: look at it, run again",
  );
});
