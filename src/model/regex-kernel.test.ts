import assert from "node:assert/strict";
import { test } from "node:test";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { REGEX_MACHINE_SOURCE_SHA256 } from "./regex-machine.gen.ts";
import { REGEX_MACHINE } from "./testdata/regex-machine-kernel.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = REGEX_MACHINE_SOURCE_SHA256;
  if (await isCompiled(REGEX_MACHINE, { sha256, writer: "regex-kernel.test.ts" })) return;
  assert.fail(
    "regex-machine.gen.ts was out of date and has been written anew: look at it, run again",
  );
});
