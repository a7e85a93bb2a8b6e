import { test } from "node:test";
import { checkBrokenQueries } from "./broken-query.fixture.ts";

void test("broken queries are refused with a named error, or evaluated", () =>
  checkBrokenQueries(
    Number(process.env["SHOAL_FUZZ_QUERIES"] ?? 500_000),
    Number(process.env["SHOAL_FUZZ_SEED"] ?? 1),
  ));
