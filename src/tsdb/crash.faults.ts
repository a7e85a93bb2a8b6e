/** The long form of crash.test.ts: 300 kills. */
process.env["SHOAL_KILLS"] = "300";
await import("./crash.test.ts");
