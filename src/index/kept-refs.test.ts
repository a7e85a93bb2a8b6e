import assert from "node:assert/strict";
import { test } from "node:test";
import { KeptRefs } from "./kept-refs.ts";

const refs = (count: number, first = 1): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => first + i);

test("refs are told by index and matcher, and are copies", () => {
  const kept = new KeptRefs();
  const [one, other] = [kept.newOwner(), kept.newOwner()];
  const list = refs(100).subarray(0, 3);
  kept.add(one, 'a=~"x.*"', list);
  assert.deepEqual(kept.get(one, 'a=~"x.*"'), refs(3));
  assert.equal(kept.get(one, 'a=~"x.*"')!.buffer.byteLength, 12);
  assert.equal(kept.get(one, 'a!~"x.*"'), undefined);
  assert.equal(kept.get(other, 'a=~"x.*"'), undefined);
});

test("what was used longest ago goes first, and what is large is not kept", () => {
  const kept = new KeptRefs(8192);
  const owner = kept.newOwner();
  for (let i = 0; i < 6; i++) kept.add(owner, String(i), refs(250, i));
  assert.deepEqual(kept.get(owner, "0"), refs(250, 0));
  kept.add(owner, "6", refs(250, 6));
  assert.ok(kept.size <= 8192);
  const held = Array.from({ length: 7 }, (_, i) => kept.get(owner, String(i)) !== undefined);
  assert.deepEqual(held, [true, false, true, true, true, true, true]);
  kept.add(owner, "large", refs(600));
  assert.equal(kept.get(owner, "large"), undefined);
  assert.ok(kept.get(owner, "0") !== undefined);
});

test("empty lists count too, the same list counts once, and a closed index keeps nothing", () => {
  const kept = new KeptRefs(8192);
  const [one, other] = [kept.newOwner(), kept.newOwner()];
  kept.add(one, "a", refs(10));
  const { size } = kept;
  kept.add(one, "a", refs(10));
  assert.equal(kept.size, size);
  for (let i = 0; i < 100; i++) kept.add(other, String(i), refs(0));
  assert.ok(kept.size > 4096 && kept.size <= 8192);
  kept.add(one, "a", refs(10));
  kept.drop(other);
  assert.equal(kept.size, size);
  assert.deepEqual(kept.get(one, "a"), refs(10));
  kept.drop(one);
  assert.equal(kept.size, 0);
});
