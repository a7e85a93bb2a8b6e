import { test } from "node:test";
import { checkAgreement, checkAnyBytes, checkSimilarLines } from "./parse.fixture.ts";

void test("fast path and exact parser agree on anything", () => checkAgreement(300_000));

void test("any bytes give samples or a named error", () => checkAnyBytes(300_000));

void test("lines that are nearly the line before are read as any other", () =>
  checkSimilarLines(300_000));
