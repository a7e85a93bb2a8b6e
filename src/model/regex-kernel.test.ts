import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { REGEX_STEP_SOURCE_SHA256 } from "./regex-step.gen.ts";
import { REGEX_STEP } from "./testdata/regex-step-kernel.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = REGEX_STEP_SOURCE_SHA256;
  if (await isCompiled(REGEX_STEP, { sha256, writer: "regex-kernel.test.ts" })) return;
  assert.fail("regex-step.gen.ts was out of date and has been written anew: look at it, run again");
});
