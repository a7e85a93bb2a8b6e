/** The long form of out-of-order.test.ts: 10,000 batches. */
process.env["SHOAL_BATCHES"] = "10000";
await import("./out-of-order.test.ts");
