import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Command } from "commander";
import { registerPromql } from "./promql.ts";

async function run(
  t: TestContext,
  args: readonly string[],
): Promise<{ out: string; err: string; exitCode: number }> {
  const out = t.mock.method(console, "log", () => undefined);
  const err = t.mock.method(console, "error", () => undefined);
  const program = new Command("shoal");
  registerPromql(program);
  process.exitCode = 0;
  await program.parseAsync(["promql", ...args], { from: "user" });
  const exitCode = Number(process.exitCode);
  process.exitCode = 0;
  const text = (calls: readonly { arguments: readonly unknown[] }[]): string =>
    calls.map((call) => String(call.arguments[0])).join("\n");
  const result = { out: text(out.mock.calls), err: text(err.mock.calls), exitCode };
  out.mock.restore();
  err.mock.restore();
  return result;
}

void test("format prints the layout, or the error and exits 1", async (t) => {
  assert.deepEqual(await run(t, ["format", "sum(rate(a[5m]))by(b)"]), {
    out: "sum by (b) (rate(a[5m]))",
    err: "",
    exitCode: 0,
  });
  assert.deepEqual(await run(t, ["format", "a b"]), {
    out: "",
    err: '1:3: parse error: unexpected identifier "b"',
    exitCode: 1,
  });
});

void test("parse prints the tree", async (t) => {
  const { out, exitCode } = await run(t, ["parse", "-1"]);
  assert.deepEqual(JSON.parse(out), { type: "numberLiteral", val: "-1" });
  assert.equal(exitCode, 0);
});

void test("experimental parts are enabled by name", async (t) => {
  const query = "mad_over_time(a[5m]) + fill(1) b anchored";
  assert.equal((await run(t, ["format", query])).exitCode, 1);
  const features =
    "promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers";
  const [first, ...others] = features.split(",");
  const flags = [`--enable-feature=${first}`, `--enable-feature=${others.join(",")}`];
  const { out } = await run(t, ["format", ...flags, query]);
  assert.equal(out, "mad_over_time(a[5m]) + fill (1) b anchored");
});
