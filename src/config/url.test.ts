import assert from "node:assert/strict";
import { test } from "node:test";
import { parseUrl } from "./url.ts";

test("what Go's net/url accepts, with scheme and host", () => {
  const f = (written: string, scheme: string, host: string): void =>
    assert.deepEqual(parseUrl(written), { scheme, host });
  f("", "", "");
  f("HTTP://a:80/b?c#d", "http", "a:80");
  f("//a/b", "", "a");
  f("a/b", "", "");
  f("http://u:p@[::1]:9/", "http", "[::1]:9");
  f("unix:///var/run/x", "unix", "");
  f("mailto:x", "mailto", "");
  f("http://a<b/", "http", "a<b");
  f("http://a/?%zz", "http", "a");
  f("http://a:/", "http", "a:");
});

test("what it refuses", () => {
  const f = (written: string, want: RegExp): void => {
    assert.throws(() => parseUrl(written), want);
  };
  f("a:b:c%zz", /invalid URL escape "%zz"/);
  f(":foo", /missing protocol scheme/);
  f("1a:b", /first path segment in URL cannot contain colon/);
  f("http://[::1", /missing '\]' in host/);
  f("http://a:port/", /invalid port ":port" after host/);
  f("http://a/%zz", /invalid URL escape "%zz"/);
  f("http://a/#%zz", /invalid URL escape "%zz"/);
  f("http://a%41b/", /invalid URL escape "%41"/);
  f("http://a b/", /invalid character " " in host name/);
  f(
    "http://u:hunter 2@a/",
    /^AppError: parse "http:\/\/<secret>@a\/": net\/url: invalid userinfo$/,
  );
  f("http://a/\n", /invalid control character in URL/);
});
