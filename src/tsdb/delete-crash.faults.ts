/** The long form of delete-crash.test.ts: 200 kills. */
process.env["SHOAL_KILLS"] = "200";
await import("./delete-crash.test.ts");
