import assert from "node:assert/strict";
import { test } from "node:test";
import { PLAIN_JOB } from "./target-build.fixture.ts";
import { TargetBuilder, type TargetOptions } from "./target-build.ts";
import { VolatileLabels } from "./target-identity.ts";

const JOB: TargetOptions = {
  ...PLAIN_JOB,
  params: { token: ["configured", "second"], module: ["m"] },
};

function hashes(patterns: readonly string[] | undefined, ...targets: Record<string, string>[]) {
  const builder = new TargetBuilder(JOB, patterns && new VolatileLabels(patterns));
  return targets.map((labels) => {
    const result = builder.build({ __address__: "127.0.0.1:1", ...labels });
    assert(result.kind === "target");
    return result.target.hash;
  });
}

test("volatile labels take no part in the hash, the others do", () => {
  const f = (
    patterns: readonly string[],
    targets: Record<string, string>[],
    same: boolean,
  ): void => {
    const found = hashes(patterns, ...targets);
    assert.equal(
      new Set(found).size,
      same ? 1 : targets.length,
      JSON.stringify({ patterns, targets }),
    );
  };
  const uids = [{ pod_uid: "1" }, { pod_uid: "2" }, {}];
  f(["pod_uid"], uids, true);
  f(["pod"], uids, false);
  f(["pod_.*", "x"], uids, true);
  f(["x|pod_uid"], uids, true);
  // A volatile parameter is not in the URL that is hashed either.
  const tokens = [{ __param_token: "a" }, { __param_token: "b" }, {}];
  f(["__param_token"], tokens, true);
  f(["token"], tokens, false);
  f(
    ["__param_token"],
    [{ __param_token: "a", __param_module: "x" }, { __param_token: "a" }],
    false,
  );
  f(["__address__", "instance"], [{ __address__: "h:1" }, { __address__: "h:2" }], true);
  f(["__address__"], [{ __address__: "h:1" }, { __address__: "h:2" }], false);
});

test("without a volatile label the hash is Prometheus's own", () => {
  assert.deepEqual(hashes(["pod_uid"], {}), hashes(undefined, {}));
  assert.notDeepEqual(hashes(["pod_uid"], { pod_uid: "1" }), hashes(undefined, { pod_uid: "1" }));
});

test("patterns that cannot be meant are refused", () => {
  assert.throws(() => new VolatileLabels(["a", "("]), {
    code: "bad-data",
    message: /^cannot ignore labels "\("/,
  });
  assert.throws(() => new VolatileLabels([".*"]), {
    code: "bad-data",
    message: 'cannot ignore labels ".*": job is one of them',
  });
});
