import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { parseConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import { ConfigFile } from "./config-file.ts";

const folder = mkdtempSync(join(tmpdir(), "shoal-config-file-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function text(replica: string, job: string): string {
  return `global: {external_labels: {replica: ${replica}}}\nscrape_configs: [{job_name: ${job}}]\n`;
}

describe("ConfigFile", () => {
  it("runs the file and takes only the hash of what agrees with it", async () => {
    const path = join(folder, "prometheus.yml");
    const taken: string[] = [];
    let config: Config | undefined;
    const file = new ConfigFile(path, {
      get config() {
        return config;
      },
      setConfig: async ({ rawContent, baseFolder, hash }) => {
        config = parseConfig(rawContent, { path, baseFolder });
        taken.push(`${config.scrapeConfigs[0]!.jobName} ${hash}`);
      },
    });
    await assert.rejects(file.load(), { code: "unavailable" });
    writeFileSync(path, text("a", "one"));
    await file.load();
    await file.load();
    assert.deepEqual(taken, ["one "], "what runs is not taken up again");
    await file.offer({ rawContent: text("b", "one"), hash: "h1" });
    assert.deepEqual(taken, ["one ", "one h1"]);
    assert.equal(config?.global.externalLabels["replica"], "a");
    await assert.rejects(file.offer({ rawContent: text("b", "two"), hash: "h2" }), {
      code: "bad-data",
      message: /says something else/,
    });
    assert.deepEqual(taken, ["one ", "one h1"]);
    writeFileSync(path, text("a", "two"));
    await file.offer({ rawContent: text("b", "two"), hash: "h2" });
    assert.deepEqual(taken, ["one ", "one h1", "two h2"]);
    writeFileSync(path, text("a", "three"));
    await assert.rejects(file.offer({ rawContent: text("b", "two"), hash: "h2" }));
    assert.deepEqual(taken, ["one ", "one h1", "two h2", "three "], "the file is what runs");
  });
});
