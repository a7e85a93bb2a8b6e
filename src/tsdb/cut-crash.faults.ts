/** The long form of cut-crash.test.ts: each step 25 times. */
process.env["SHOAL_CUT_ROUNDS"] = "25";
await import("./cut-crash.test.ts");
