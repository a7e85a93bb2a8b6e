import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { ConfigError } from "./config-error.ts";
import { loadConfig } from "./load.ts";

interface Verdict {
  readonly file: string;
  readonly expect: "ok" | "bad";
}

/** Prometheus's own corpus of good and bad configurations: the same verdict on each, and a place for each refusal. */
describe("Prometheus's configuration corpus", { skip: skipWithout("prometheus-config") }, () => {
  const folder = sharedPath("prometheus-config") ?? "";
  const verdicts: readonly Verdict[] =
    folder === "" ? [] : JSON.parse(readFileSync(join(folder, "verdicts.json"), "utf8"));

  test("is all there", () => assert.equal(verdicts.length, 140));

  for (const { file, expect } of verdicts)
    test(`${file} is ${expect}`, async () => {
      const path = join(folder, file);
      if (expect === "ok") {
        await loadConfig(path);
        return;
      }
      await assert.rejects(loadConfig(path), (error) => {
        assert(error instanceof ConfigError, String(error));
        assert.match(error.message, /^\/[^:]+\.yml:\d+:\d+: .+\n +\d+ \| .+\n +\| +\^/);
        return true;
      });
    });
});
