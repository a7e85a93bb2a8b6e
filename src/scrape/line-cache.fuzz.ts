import { test } from "node:test";
import { checkIncremental, checkStaleness } from "./line-cache.fixture.ts";

void test("whatever was scraped before, a body is read as if it were the first", () =>
  checkIncremental(100_000));

void test("a series is stale exactly when the scrape before had it and this one has not", () =>
  checkStaleness(100_000));
