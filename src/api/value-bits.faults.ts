/** The long form of value-bits.test.ts: a million values. */
process.env["SHOAL_VALUES"] = "1000000";
await import("./value-bits.test.ts");
