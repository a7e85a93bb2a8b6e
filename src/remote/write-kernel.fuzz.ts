import assert from "node:assert/strict";
import { test } from "node:test";
import { compileKernel } from "../base/testdata/compile-kernel.ts";
import { WRITE_KERNEL } from "./testdata/write-kernel.ts";
import { WRITE_KERNEL_WASM } from "./write-kernel.gen.ts";

test("the committed module is what its source compiles to", async () => {
  assert.equal(await compileKernel(WRITE_KERNEL), WRITE_KERNEL_WASM);
});
