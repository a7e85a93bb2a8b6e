/** The long form of head-chunks.test.ts: 1,000 bit flips. */
process.env["SHOAL_FLIPS"] = "1000";
await import("./head-chunks.test.ts");
