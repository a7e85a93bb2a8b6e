import type { Command } from "commander";

/** The commands that check and test instead of serving. What they need is loaded with them. */
export async function registerTools(program: Command): Promise<void> {
  const { registerCheck } = await import("./check-config.ts");
  const { registerTestPromql } = await import("./test-promql.ts");
  const { registerPromql } = await import("./promql.ts");
  const { registerTsdb } = await import("./tsdb.ts");
  const { registerExplain } = await import("./explain.ts");
  const { registerOrders } = await import("./orders.ts");
  const { registerConvert } = await import("./convert.ts");
  registerExplain(program);
  registerOrders(program);
  registerCheck(program);
  registerConvert(program);
  registerTestPromql(program);
  registerPromql(program);
  registerTsdb(program);
}
