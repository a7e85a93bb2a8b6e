import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { Labels } from "./labels.ts";
import { md5Tail } from "./md5.ts";
import { fnv1a64, hashLabels, hashTarget } from "./target-hash.ts";
import { formatHash64, hashBytes64 } from "./xxh64.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

function hex(hash: { high: number; low: number }): string {
  return hash.high.toString(16).padStart(8, "0") + hash.low.toString(16).padStart(8, "0");
}

test("xxh64 has the published values", () => {
  const f = (text: string, want: string): void => assert.equal(hex(hashBytes64(bytes(text))), want);
  f("", "ef46db3751d8e999");
  f("a", "d24ec4f1a98c6e5b");
  f("abc", "44bc2cf5ad770999");
  f("Nobody inspects the spammish repetition", "fbcea83c8a378bf1");
  f("xxhash", "32dd38952c4bc720");
});

test("xxh64 of every length agrees with a plain 64-bit computation", () => {
  const data = Uint8Array.from({ length: 200 }, (_, i) => (i * 167 + 13) & 0xff);
  for (let size = 0; size <= data.length; size++) {
    const { high, low } = hashBytes64(data, { start: 0, size });
    assert.equal(
      (BigInt(high) << 32n) | BigInt(low),
      plainXxh64(data.subarray(0, size)),
      `${size}`,
    );
  }
  assert.deepEqual(
    hashBytes64(data, { start: 7, size: 90 }),
    hashBytes64(data.slice(7, 97)),
    "a range hashes like a copy of it",
  );
});

test("targets hash as Prometheus hashes them", () => {
  const f = (object: Record<string, string>, url: string, label: string, target: string): void => {
    const labels = Labels.fromObject(object);
    assert.equal(hashLabels(labels), label);
    assert.equal(hashTarget(labels, url), target);
  };
  f(
    {
      __address__: "127.0.0.1:9091",
      __metrics_path__: "/metrics",
      __scheme__: "http",
      instance: "127.0.0.1:9091",
      job: "test",
    },
    "http://127.0.0.1:9091/metrics",
    "16997748898574205195",
    "1241054366830102733",
  );
  f(
    {
      __address__: "10.0.0.7:443",
      __metrics_path__: "/federate",
      __param_module: "x",
      __scheme__: "https",
      instance: "10.0.0.7:443",
      job: "j",
      pod: "a-0",
    },
    "https://10.0.0.7:443/federate?module=x",
    "4947400372196894196",
    "6011390623312818123",
  );
});

test("label text beyond ASCII hashes as UTF-8, of any length", () => {
  const value = `é\u{1f600}${"x".repeat(5000)}`;
  const labels = Labels.fromObject({ näme: value });
  const flat = [...bytes("näme"), 0xff, ...bytes(value), 0xff];
  assert.equal(hashLabels(labels), plainXxh64(Uint8Array.from(flat)).toString());
});

test("property: decimal text of 64-bit numbers", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (value) => {
      const hash = { high: Number(value >> 32n), low: Number(value & 0xffffffffn) };
      assert.equal(formatHash64(hash), value.toString());
    }),
  );
  assert.equal(formatHash64({ high: 0, low: 0 }), "0");
  assert.equal(formatHash64({ high: 0xffffffff, low: 0xffffffff }), "18446744073709551615");
});

test("property: FNV-1a-64 and the end of MD5", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (data) => {
      let want = 0xcbf29ce484222325n;
      for (const byte of data) want = BigInt.asUintN(64, (want ^ BigInt(byte)) * 0x100000001b3n);
      assert.equal(formatHash64(fnv1a64(data, data.length)), want.toString());
      const digest = createHash("md5").update(data).digest("hex").slice(16);
      assert.equal(hex(md5Tail(data, data.length)), digest);
    }),
  );
});

/** The specification word for word, with BigInt. */
function plainXxh64(data: Uint8Array): bigint {
  const [p1, p2, p3, p4, p5] = [
    0x9e3779b185ebca87n,
    0xc2b2ae3d27d4eb4fn,
    0x165667b19e3779f9n,
    0x85ebca77c2b2ae63n,
    0x27d4eb2f165667c5n,
  ] as const;
  const cut = (value: bigint): bigint => BigInt.asUintN(64, value);
  const rotate = (value: bigint, bits: bigint): bigint =>
    cut(value << bits) | (value >> (64n - bits));
  const round = (lane: bigint, input: bigint): bigint =>
    cut(rotate(cut(lane + input * p2), 31n) * p1);
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  let at = 0;
  let hash: bigint;
  if (data.length >= 32) {
    const lanes = [cut(p1 + p2), p2, 0n, cut(-p1)];
    for (; at + 32 <= data.length; at += 32)
      for (let i = 0; i < 4; i++) lanes[i] = round(lanes[i]!, view.getBigUint64(at + 8 * i, true));
    hash = cut(
      rotate(lanes[0]!, 1n) +
        rotate(lanes[1]!, 7n) +
        rotate(lanes[2]!, 12n) +
        rotate(lanes[3]!, 18n),
    );
    for (const lane of lanes) hash = cut((hash ^ round(0n, lane)) * p1 + p4);
  } else hash = p5;
  hash = cut(hash + BigInt(data.length));
  for (; at + 8 <= data.length; at += 8)
    hash = cut(rotate(hash ^ round(0n, view.getBigUint64(at, true)), 27n) * p1 + p4);
  if (at + 4 <= data.length) {
    hash = cut(rotate(hash ^ cut(BigInt(view.getUint32(at, true)) * p1), 23n) * p2 + p3);
    at += 4;
  }
  for (; at < data.length; at++) hash = cut(rotate(hash ^ cut(BigInt(data[at]!) * p5), 11n) * p1);
  hash = cut((hash ^ (hash >> 33n)) * p2);
  hash = cut((hash ^ (hash >> 29n)) * p3);
  return hash ^ (hash >> 32n);
}
