import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import fc from "fast-check";
import { AppError } from "../base/errors.ts";
import { compressSnappy, decompressSnappy } from "../base/snappy.ts";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { ProtoWriter } from "../proto/wire.ts";
import { WRITE_KERNEL } from "./testdata/write-kernel.ts";
import { WRITE_KERNEL_SOURCE_SHA256 } from "./write-kernel.gen.ts";
import {
  ENTRY_FIRST,
  ENTRY_HAS_KEY,
  ENTRY_KEY,
  ENTRY_MARK,
  ENTRY_WORDS,
  type KernelOptions,
  MARK_PLAIN,
  MARK_TO_READ,
  MARK_ZERO_FIRST,
  MAX_SYMBOLS,
  WriteKernel,
} from "./write-kernel.ts";
import { type RequestSeries, writeRequestV1, writeRequestV2 } from "./write-request.fixture.ts";

// Compiling takes seconds, so it is done when the source has changed (and in write-kernel.fuzz.ts).
test("the module was made from the source beside it", async () => {
  const sha256 = WRITE_KERNEL_SOURCE_SHA256;
  if (await isCompiled(WRITE_KERNEL, { sha256, writer: "write-kernel.test.ts" })) return;
  assert.fail(
    "write-kernel.gen.ts was out of date and has been written anew: look at it, run again",
  );
});

const kernel = new WriteKernel();
const limits = { maxDecodedBytes: 64 * 1024 * 1024, maxSeries: 1000, takesCreated: false };

/** What the kernel finds in a request. */
function found(
  version: 1 | 2,
  message: Uint8Array,
  options: KernelOptions = limits,
): {
  isPlain: boolean;
  mark: number;
  key: string | undefined;
  samples: [number, number][];
}[] {
  kernel.read(compressSnappy(message), version, options);
  const { words, floats, entriesAt, timesAt, valuesAt, seriesCount } = kernel;
  const values = new Float64Array(words.buffer, valuesAt * 4, 10_000);
  return Array.from({ length: seriesCount }, (_, series) => {
    const entry = entriesAt + series * ENTRY_WORDS;
    const samples: [number, number][] = [];
    for (let k = words[entry + ENTRY_FIRST]!; k < words[entry + ENTRY_WORDS + ENTRY_FIRST]!; k++)
      samples.push([floats[timesAt + k]!, values[k]!]);
    const key = words.slice(entry + ENTRY_KEY, entry + ENTRY_KEY + 4).join();
    return {
      isPlain: words[entry + ENTRY_MARK] === MARK_PLAIN,
      mark: words[entry + ENTRY_MARK]!,
      key: words[entry + ENTRY_HAS_KEY] === 1 ? key : undefined,
      samples,
    };
  });
}

const encoders = [
  [1, writeRequestV1],
  [2, writeRequestV2],
] as const;

const text = fc.string({ unit: "grapheme", maxLength: 90 });
const time = fc.oneof(fc.integer({ min: -(2 ** 45), max: 2 ** 45 }), fc.constant(0));
const series: fc.Arbitrary<RequestSeries> = fc.record({
  labels: fc.array(fc.tuple(text, text), { maxLength: 6 }),
  samples: fc.array(fc.tuple(time, fc.double({ noNaN: true })), { minLength: 1, maxLength: 4 }),
});

describe("snappy in the kernel", () => {
  const message = (payload: Uint8Array): Uint8Array => {
    const writer = new ProtoWriter();
    writer.bytes(15, payload);
    return writer.finish().slice();
  };
  const compressible = fc
    .array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.nat({ max: 300 })), { maxLength: 40 })
    .map((runs) =>
      Buffer.concat(
        runs.flatMap(([bytes, n]) => [bytes, Buffer.alloc(n, bytes.length > 0 ? bytes : "x")]),
      ),
    );

  it("gives what was compressed", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 2000 }), compressible), (payload) => {
        const plain = message(payload);
        kernel.read(compressSnappy(plain), 1, limits);
        assert.deepEqual(Buffer.from(kernel.bytes), Buffer.from(plain));
      }),
      { numRuns: 500 },
    );
    const long = message(Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i) >>> 7)));
    kernel.read(compressSnappy(long), 1, limits);
    assert.deepEqual(Buffer.from(kernel.bytes), Buffer.from(long));
  });

  it("takes and refuses what the other decoder does, and says the same", () => {
    const outcome = (read: () => Uint8Array): string => {
      try {
        return Buffer.from(read()).toString("hex");
      } catch (error) {
        assert.ok(error instanceof AppError, String(error));
        return error.message;
      }
    };
    const changed = fc
      .tuple(compressible, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }))
      .map(([payload, changes]) => {
        const body = compressSnappy(message(payload)).slice();
        for (const [at, byte] of changes) body[at % body.length] = byte;
        return body;
      });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 80 }), changed), (body) => {
        const want = outcome(() => decompressSnappy(body, limits.maxDecodedBytes));
        const got = outcome(() => {
          kernel.read(body, 1, limits);
          return kernel.bytes;
        });
        // What is good snappy may be no message.
        if (!got.startsWith("cannot decode message")) assert.equal(got, want);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("series in the kernel", () => {
  it("finds all samples of plain series", () => {
    for (const [version, encode] of encoders)
      fc.assert(
        fc.property(fc.array(series, { maxLength: 20 }), (list) => {
          const got = found(version, encode(list));
          assert.equal(got.length, list.length);
          for (const [i, { isPlain, samples }] of got.entries()) {
            // Times of 0 are not written, and left to the other decoder.
            const hasZero = list[i]!.samples!.some(([t]) => t === 0);
            assert.equal(isPlain, !hasZero);
            assert.deepEqual(samples, hasZero ? [] : list[i]!.samples);
          }
        }),
      );
  });

  it("reads a sample without its value, as senders write zeros", () => {
    // A label of a and b, then a sample of nothing but the time 7.
    const body = Buffer.from("0a0c 0a06 0a0161120162 1202 1007".replaceAll(" ", ""), "hex");
    assert.deepEqual(
      found(1, body).map(({ isPlain, samples }) => ({ isPlain, samples })),
      [{ isPlain: true, samples: [[7, 0]] }],
    );
  });

  it("puts a zero in front of a sample that tells when its series was created", () => {
    type Sample = [timeMs: number, value: number, startMs?: number];
    const labels = [["a", "b"]] as const;
    const f = (samples: Sample[], createdMs: number, want: [mark: number, [number, number][]]) => {
      const message = writeRequestV2([{ labels, samples, createdMs }]);
      const [got] = found(2, message, { ...limits, takesCreated: true });
      assert.deepEqual([got!.mark, got!.samples], want);
      const [off] = found(2, message);
      assert.deepEqual([off!.mark, off!.samples.length], [MARK_PLAIN, samples.length]);
      assert.equal(off!.key, got!.key);
    };
    const zero = MARK_ZERO_FIRST;
    f([[7, 5]], 0, [MARK_PLAIN, [[7, 5]]]);
    f([[7, 5]], 6, [
      zero,
      [
        [6, 0],
        [7, 5],
      ],
    ]);
    f([[7, 5]], 7, [MARK_PLAIN, [[7, 5]]]);
    f([[7, 5]], -7, [
      zero,
      [
        [-7, 0],
        [7, 5],
      ],
    ]);
    f([[7, 5, 3]], 0, [
      zero,
      [
        [3, 0],
        [7, 5],
      ],
    ]);
    f([[7, 5, 3]], 6, [
      zero,
      [
        [3, 0],
        [7, 5],
      ],
    ]);
    f([[7, 5, 9]], 6, [MARK_PLAIN, [[7, 5]]]);
    // Which of several samples have one is for the other decoder to say.
    f(
      [
        [7, 5],
        [8, 6],
      ],
      0,
      [
        MARK_PLAIN,
        [
          [7, 5],
          [8, 6],
        ],
      ],
    );
    f(
      [
        [7, 5],
        [8, 6],
      ],
      6,
      [MARK_TO_READ, []],
    );
    f(
      [
        [7, 5, 6],
        [8, 6],
      ],
      0,
      [MARK_TO_READ, []],
    );
  });

  it("gives labels one key in all requests, and others another", () => {
    for (const [version, encode] of encoders) {
      const keys = new Map<string, string>();
      fc.assert(
        fc.property(fc.array(series, { minLength: 1, maxLength: 20 }), (list) => {
          for (const [i, { key }] of found(version, encode(list)).entries()) {
            assert.ok(key !== undefined);
            const labels = JSON.stringify(list[i]!.labels);
            assert.equal(keys.get(key) ?? labels, labels);
            keys.set(key, labels);
            const exemplar = { labels: [], value: 1, timeMs: 1 };
            // The rest of the series makes no difference.
            const [again] = found(version, encode([{ ...list[i]!, exemplars: [exemplar] }]));
            assert.deepEqual([again!.isPlain, again!.key], [false, key]);
          }
        }),
      );
    }
  });

  it("tells texts apart whose words cancel each other out in one lane", () => {
    const [P1, P2] = [0x9e3779b185ebca87n, 0xc2b2ae3d27d4eb4fn];
    const bits = (value: bigint): bigint => BigInt.asUintN(64, value);
    // What a lane is after a word, were it by itself.
    const round = (state: bigint, word: bigint): bigint => {
      const sum = bits(state + word * P2);
      return bits(((sum << 31n) | (sum >> 33n)) * P1);
    };
    // Newton's way to the number whose product with P2 is 1: each step doubles the bits that are right.
    let inverse = P2;
    for (let i = 0; i < 5; i++) inverse = bits(inverse * (2n - P2 * inverse));
    assert.equal(bits(inverse * P2), 1n);
    const [one, other] = [new BigUint64Array(8), new BigUint64Array(8)];
    const states = [one, other].map((words, i) => round(P1 + 64n, (words[0] = BigInt(i))));
    other[4] = bits((states[0]! - states[1]!) * inverse);
    assert.equal(round(states[0]!, one[4]!), round(states[1]!, other[4]));
    const keys = [one, other].map((words) => {
      const name = new Uint8Array(words.buffer);
      return found(2, writeRequestV2([{ labels: [["a", name]], samples: [[1, 1]] }]))[0]!.key;
    });
    assert.notEqual(keys[0], keys[1]);
  });

  it("gives no key to references that are broken", () => {
    const samples = [[1, 1]] as const;
    const labels = [["a", "b"]] as const;
    const f = (labelRefs: readonly number[], want: boolean): void =>
      assert.equal(
        found(2, writeRequestV2([{ labels, labelRefs, samples }]))[0]!.key !== undefined,
        want,
      );
    f([0, 0], true);
    f([0, 0, 0], false);
    f([0, 9], false);
  });

  it("never crashes on garbage", () => {
    const changed = fc.tuple(
      fc.constantFrom(...encoders),
      fc.array(series, { maxLength: 4 }),
      fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
    );
    fc.assert(
      fc.property(changed, ([[version, encode], list, changes]) => {
        const message = encode(list);
        for (const [at, byte] of changes) message[at % message.length] = byte;
        try {
          found(version, message);
        } catch (error) {
          assert.ok(error instanceof AppError && error.code === "corrupt", String(error));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("has limits", () => {
    const one = { labels: [], samples: [[1, 1]] } as const;
    const many = compressSnappy(writeRequestV1(Array.from({ length: 1001 }, () => one)));
    assert.throws(() => kernel.read(many, 1, limits), {
      code: "resource-exhausted",
      message: /more than 1000 series: .*max-series/,
    });
    const symbols = compressSnappy(
      new Uint8Array(2 * (MAX_SYMBOLS + 1)).map((_, i) => (i % 2 ? 0 : 0x22)),
    );
    assert.throws(() => kernel.read(symbols, 2, limits), {
      code: "resource-exhausted",
      message: /more than 1000000 symbols/,
    });
  });

  it("gives the memory of a large request back", () => {
    const writer = new ProtoWriter();
    writer.bytes(15, new Uint8Array(20_000_000));
    kernel.read(compressSnappy(writer.finish()), 1, limits);
    assert.ok(kernel.words.byteLength > 20_000_000);
    kernel.trim();
    assert.equal(kernel.words.byteLength, 0);
    kernel.read(compressSnappy(new Uint8Array(0)), 1, limits);
    assert.ok(kernel.words.byteLength < 1_000_000);
  });

  it("gives the memory of a large bad request back", () => {
    const body = compressSnappy(new Uint8Array(20_000_000)).slice();
    assert.throws(() => kernel.read(body, 1, limits), /field has the number 0/);
    kernel.trim();
    kernel.read(compressSnappy(new Uint8Array(0)), 1, limits);
    assert.ok(kernel.words.byteLength < 1_000_000);
  });
});
