import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/processes.ts";
import { SendPosition } from "./send-position.ts";

test("places come back after a restart, and change with the number of queues", () => {
  const path = join(temporaryFolder("position"), "remote", "x.pos");
  let position = SendPosition.open(path);
  assert.equal(position.places, undefined);
  position.reset(2, { segment: 3, ordinal: 10 });
  position.set(1, { segment: 4, ordinal: 2 ** 40 });
  position.close();
  position = SendPosition.open(path);
  assert.deepEqual(position.places, [
    { segment: 3, ordinal: 10 },
    { segment: 4, ordinal: 2 ** 40 },
  ]);
  position.reset(1, { segment: 5, ordinal: 0 });
  position.close();
  position = SendPosition.open(path);
  assert.deepEqual(position.places, [{ segment: 5, ordinal: 0 }]);
  position.close();
});

test("a file that is none of ours is begun anew", () => {
  const path = join(temporaryFolder("position"), "x.pos");
  for (const content of ["", "nonsense and more nonsense", new Uint8Array(64)]) {
    writeFileSync(path, content);
    const position = SendPosition.open(path);
    assert.equal(position.places, undefined);
    position.close();
  }
});
