import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { partPath, skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";

const root = await mkdtemp(join(tmpdir(), "query-cli-test-"));
after(() => rm(root, { recursive: true, force: true }));

interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(command: string, args: readonly string[]): Promise<Ended> {
  const { promise, resolve } = Promise.withResolvers<Ended>();
  execFile(command, args, { maxBuffer: 1 << 26 }, (error, stdout, stderr) =>
    resolve({ code: error?.code ?? 0, stdout, stderr }),
  );
  return promise;
}

const shoal = (...args: readonly string[]): Promise<Ended> =>
  run(process.execPath, [
    "--disable-warning=ExperimentalWarning",
    join(import.meta.dirname, "main.ts"),
    "query",
    ...args,
  ]);

describe("shoal query", { skip: skipWithoutParts() }, () => {
  test("prints what promtool prints", { skip: skipWithout("golden") }, async (context) => {
    const golden = sharedPath("golden")!;
    const data = join(root, "data");
    await mkdir(data);
    const block = (await readdir(golden)).find((name) => name.startsWith("block-"))!;
    await cp(join(golden, block), join(data, block.slice("block-".length)), { recursive: true });
    const prometheus = await startPrometheus({
      config: "scrape_configs: []",
      dataFolder: data,
      flags: ["--storage.tsdb.retention.time=50y", "--enable-feature=native-histograms"],
    });
    assert.ok(prometheus !== undefined);
    context.after(() => prometheus.stop());
    const at = "--time=1700000060";
    const range = ["--start=1700000000", "--end=1700000120", "--step=30s"];
    const cases: [name: string, ...rest: string[]][] = [
      ["instant", "constant", at],
      // promtool writes names that need quotes without them.
      ["instant", '{__name__=~".+", __name__!~"utf8.*"}', at],
      ["instant", "1.5e9 + 0", at],
      ["instant", "vector(1) / 0", at],
      ["instant", "(-vector(1)) / 0", at],
      ["instant", "vector(0) / 0", at],
      ["instant", '{__name__=~"constant|regular_total"}[1m]', at],
      ["instant", "none", at],
      ["instant", "sum(", at],
      ["instant", "rate(constant[1m])", "--time=2023-11-14T22:14:20Z", "-o", "json"],
      ["instant", "time()", "--time=1700000060.25"],
      ["range", '{__name__=~"constant|regular_total"}', ...range],
      ["range", '{__name__=~".*hist.*"}', ...range],
      ["range", "constant", ...range, "-o", "json"],
      [
        "series",
        '--match={__name__=~".+", __name__!~"utf8.*"}',
        "--start=1700000000",
        "--end=1700004000",
      ],
      ["series", "--match=constant", "--match=special", "--start=1", "-o", "json"],
      ["labels", "__name__", "--start=1700000000"],
      ["labels", "none", "--start=1700000000"],
      ["labels", "i", "-o", "json", "--start=1700000000", "--match=constant"],
    ];
    for (const [name, ...rest] of cases) {
      const ours = await shoal(name, prometheus.url, ...rest);
      const theirs = await run(partPath("promtool")!, ["query", name, prometheus.url, ...rest]);
      const what = [name, ...rest].join(" ");
      assert.equal(ours.stdout, theirs.stdout, what);
      assert.equal(ours.code, theirs.code, what);
      // promtool keeps annotations to itself.
      const said = ours.stderr.replace(/^(Info|Warning): .*\n/gm, "").trim();
      assert.equal(said.replace(/^shoal: /, ""), theirs.stderr.trim(), what);
    }
    assert.equal(
      (await shoal("label-values", prometheus.url, "i", "--start=1700000000")).stdout,
      (await shoal("labels", prometheus.url, "i", "--start=1700000000")).stdout,
    );
    const names = await shoal("labels", prometheus.url, "--start=1700000000", "-o", "json");
    assert.ok((JSON.parse(names.stdout) as string[]).includes("__name__"));
    const quoted = await shoal("label-values", prometheus.url, "label with space");
    assert.deepEqual([quoted.code, quoted.stdout], [0, "x\n"]);
  });
});

describe("shoal query's own words", () => {
  test("say what is wrong", async () => {
    for (const [args, message] of [
      [["instant", "127.0.0.1:1", "up"], /connection refused/],
      [["instant", "http://", "up"], /give a server like http:\/\/127\.0\.0\.1:9090/],
      [["range", "127.0.0.1:1", "up", "--start=yesterday"], /cannot read --start=yesterday/],
      [["range", "127.0.0.1:1", "up", "--start=2", "--end=1"], /--start is later than --end/],
      [["series", "127.0.0.1:1"], /give one --match=SELECTOR or more/],
      [["instant", "127.0.0.1:1", "up", "-o", "xml"], /formats are promql and json/],
      [["instant", "127.0.0.1:1", "up", "--header=x"], /give name=value/],
      [["instant", "127.0.0.1:1", "up", "--http.config.file=none.yml"], /it does not exist/],
    ] as const) {
      const { code, stderr } = await shoal(...args);
      assert.match(stderr, message);
      assert.equal(code, 1);
    }
  });

  test("goes with the credentials and headers it is given, and refuses what is no answer", async (context) => {
    const seen: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      seen.push(request.headers.authorization, request.headers["x-scope"]?.toString(), request.url);
      response.end("hello");
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    context.after(() => server.close());
    const address = server.address();
    assert.ok(address !== null && typeof address === "object");
    const file = join(root, "http.yml");
    await writeFile(file, "basic_auth: {username: u, password: p}\n");
    const { code, stderr } = await shoal(
      "labels",
      `http://127.0.0.1:${address.port}/prom/`,
      "--header=X-Scope=team",
      `--http.config.file=${file}`,
    );
    assert.equal(code, 1);
    assert.match(stderr, /cannot read the answer of .*HTTP 200, and no JSON/);
    const basic = `Basic ${Buffer.from("u:p").toString("base64")}`;
    assert.deepEqual(seen, [basic, "team", "/prom/api/v1/labels"]);
    await writeFile(file, "basic_auth: {username: u, password: p, x: 1}\n");
    const wrong = await shoal("labels", "127.0.0.1:1", `--http.config.file=${file}`);
    assert.match(wrong.stderr, /http\.yml:1:40: unknown key "x" in basic_auth/);
  });
});
