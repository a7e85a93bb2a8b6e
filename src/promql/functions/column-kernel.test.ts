import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompiled } from "../../base/testdata/compile-kernel.ts";
import { COLUMN_KERNEL } from "../testdata/column-kernel.ts";
import { COLUMN_KERNEL_SOURCE_SHA256 } from "./column-kernel.gen.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = COLUMN_KERNEL_SOURCE_SHA256;
  if (await isCompiled(COLUMN_KERNEL, { sha256, writer: "column-kernel.test.ts" })) return;
  assert.fail(
    "column-kernel.gen.ts was out of date and has been written anew: look at it, run again",
  );
});
