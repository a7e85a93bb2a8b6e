import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFleetCurve, printFleetCurve, shareAt } from "./fleet-curve.ts";
import { HOUR_MS } from "./sim-target.ts";

test("the share follows straight lines between the points and stays outside of them", () => {
  const curve = parseFleetCurve("1h:0.5,3h:1,4h:0");
  const at = (hours: number): number => shareAt(curve, hours * HOUR_MS);
  assert.deepEqual([0, 1, 2, 3, 3.5, 4, 9].map(at), [0.5, 0.5, 0.75, 1, 0.5, 0, 0]);
});

test("a curve is printed as it is read", () => {
  assert.equal(printFleetCurve(parseFleetCurve("0h:0.02, 90m:1")), "0s:0.02,1h30m:1");
});

test("what is no curve is refused with what to write", () => {
  const refused = (text: string, message: RegExp): void =>
    assert.throws(() => parseFleetCurve(text), message);
  refused("", /"" is not a time and a share \(write time:share pairs, like 0h:0\.1/);
  refused("1h", /"1h" is not a time and a share/);
  refused("1h:x", /the share "x" is not a number from 0 to 100/);
  refused("1h:-1", /the share "-1" is not a number/);
  refused("1h:", /the share "" is not a number/);
  refused("soon:1", /not a valid duration string: "soon"/);
  refused("2h:1,1h:1", /1h does not come after the point before it/);
});
