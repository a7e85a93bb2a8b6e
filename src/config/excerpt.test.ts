import assert from "node:assert/strict";
import { test } from "node:test";
import { excerptOf } from "./excerpt.ts";

test("values of secrets are masked, whatever their quotes", () => {
  const f = (line: string, want: string): void =>
    assert.equal(excerptOf(line, { column: 1, width: 1 })?.text, want);
  f("password: hunter2", "password: <secret>");
  f("  - client_secret: 'it''s'", "  - client_secret: <secret>");
  f('a: {token: "x \\" y", b: 1}', "a: {token: <secret>, b: 1}");
  f("secrets: [a, b]", "secrets: <secret>");
  f("http://u:p@host/", "http://<secret>@host/");
  f("password_file: /etc/p", "password_file: /etc/p");
  f("service_account_key_path: /p", "service_account_key_path: /p");
  f("job_name: a", "job_name: a");
  f("password: a,b }c # d", "password: <secret> # d");
  f(
    "{basic_auth: {username: u, password: a,b}}",
    "{basic_auth: {username: u, password: <secret>}}",
  );
  f("X-Api-Key: k", "X-Api-Key: <secret>");
  f("key: k", "key: <secret>");
});

test("a long line is cut around the caret", () => {
  const line = `${"x".repeat(500)}HERE${"y".repeat(500)}`;
  const { text, column, width } = excerptOf(line, { column: 501, width: 4 })!;
  assert(text.length <= 122);
  assert.equal(text.slice(column - 1, column - 1 + width), "HERE");
});

test("the caret never leaves the line", () => {
  const { text, column, width } = excerptOf("ab", { column: 2, width: 99 })!;
  assert.equal(column - 1 + width, text.length);
});

test("a huge line is not shown", () => {
  assert.equal(excerptOf("x".repeat(5000), { column: 1, width: 1 }), undefined);
});
