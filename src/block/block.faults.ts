/** The long form of block.test.ts: 1,000 bit flips. */
process.env["SHOAL_FLIPS"] = "1000";
await import("./block.test.ts");
