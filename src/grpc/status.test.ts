import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AppError } from "../base/errors.ts";
import { parseAddress } from "./address.ts";
import { GrpcError, decodeStatusMessage, encodeStatusMessage, statusOf } from "./status.ts";
import { formatGrpcTimeout, parseGrpcTimeout } from "./timeout.ts";

describe("status", () => {
  it("keeps messages of any text in printable ASCII", () => {
    assert.equal(encodeStatusMessage("50% ö\n"), "50%25 %C3%B6%0A");
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (message) => {
        const encoded = encodeStatusMessage(message);
        assert.match(encoded, /^[ -~]*$/);
        assert.equal(decodeStatusMessage(encoded), message);
      }),
    );
    assert.equal(decodeStatusMessage("100% %zz %4"), "100% %zz %4");
  });

  it("keeps the exact status of a peer and maps our codes", () => {
    assert.equal(statusOf(new GrpcError(9, "")), 9);
    assert.equal(statusOf(new AppError("bad-data", "")), 3);
    assert.equal(new GrpcError(14, "").code, "unavailable");
    assert.equal(new GrpcError(99, "").code, "internal");
  });
});

describe("grpc-timeout", () => {
  it("is read in every unit and written in at most eight digits", () => {
    const f = (text: string, want: number | undefined): void =>
      assert.equal(parseGrpcTimeout(text), want);
    f("1H", 3_600_000);
    f("2M", 120_000);
    f("3S", 3000);
    f("4m", 4);
    f("5000u", 5);
    f("99999999n", 99.999999);
    f("", undefined);
    f("123456789m", undefined);
    f("-1S", undefined);
    assert.equal(formatGrpcTimeout(0.2), "1m");
    assert.equal(formatGrpcTimeout(-5), "0m");
    assert.equal(formatGrpcTimeout(1e8), "100000S");
    assert.equal(formatGrpcTimeout(1e12), "277778H");
  });
});

describe("parseAddress", () => {
  it("reads host:port and refuses the rest", () => {
    assert.deepEqual(parseAddress("store.test:10901"), { host: "store.test", port: 10901 });
    assert.deepEqual(parseAddress("[::1]:1"), { host: "::1", port: 1 });
    for (const text of [
      "",
      "host",
      "host:",
      ":1",
      "host:0",
      "host:65536",
      "::1:1",
      "a b:1",
      "http://a:1",
    ])
      assert.throws(() => parseAddress(text), { code: "bad-data" }, text);
  });
});
