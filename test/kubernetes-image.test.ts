/** What deploy/Dockerfile copies into the image is enough to run every role, read-only and with the page. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { test } from "node:test";
import { freePort, startChild, stopProcess, untilReady } from "./support/processes.ts";

const root = dirname(import.meta.dirname);

test("the image's files run on their own", async (context) => {
  if (process.env["SHOAL_APP"] === undefined) return context.skip("the program is not bundled");
  const image = mkdtempSync(join(tmpdir(), "shoal-image-"));
  context.after(() => rmSync(image, { recursive: true, force: true }));
  const dockerfile = readFileSync(join(root, "deploy/Dockerfile"), "utf8");
  const copies = [...dockerfile.matchAll(/^COPY --from=build (.+)$/gm)].map((match) => match[1]!);
  assert.ok(copies.length > 0);
  for (const copy of copies) {
    const [target, ...sources] = copy.split(" ").reverse();
    for (const source of sources) {
      const path = source.replace(/^\/shoal\//, "");
      const to = target === "./" ? join(image, basename(path)) : join(image, target!);
      mkdirSync(dirname(to), { recursive: true });
      cpSync(join(root, path), to, { recursive: true });
    }
  }
  const [, ...args] = JSON.parse(/^ENTRYPOINT (.+)$/m.exec(dockerfile)![1]!) as string[];
  const command = args.map((argument) => argument.replace("/shoal", image));
  const version = spawnSync(process.execPath, [...command, "version"], { encoding: "utf8" });
  assert.match(version.stdout, /0\.1\.0/);
  for (const role of ["coordinator", "shard", "sidecar", "query", "demo-exporter"]) {
    const help = spawnSync(process.execPath, [...command, role, "--help"], { encoding: "utf8" });
    assert.match(help.stdout, new RegExp(`Usage: shoal ${role}`), help.stderr);
  }
  const port = await freePort();
  const listen = `--web.listen-address=127.0.0.1:${port}`;
  const query = startChild(process.execPath, [...command, "query", listen]);
  context.after(() => stopProcess(query));
  await untilReady(`http://127.0.0.1:${port}/-/ready`, query);
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assert.match(await page.text(), /<title>Shoal/);
});
