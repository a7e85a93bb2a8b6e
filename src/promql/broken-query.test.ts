import { test } from "node:test";
import { checkBrokenQueries } from "./broken-query.fixture.ts";

test("broken queries are refused with a named error, or evaluated", () =>
  checkBrokenQueries(1000, Number(process.env["SHOAL_FUZZ_SEED"] ?? 1)));
