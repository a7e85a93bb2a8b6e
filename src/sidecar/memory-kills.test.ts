import assert from "node:assert/strict";
import { test } from "node:test";
import { MemoryKills } from "./memory-kills.ts";

function kills(files: Record<string, string>): MemoryKills {
  return new MemoryKills((path) => {
    const text = files[path];
    if (text === undefined) throw new Error("ENOENT");
    return text;
  });
}

test("the control group's count says whether a killed process ran out of memory", () => {
  for (const [groups, path] of [
    ["0::/pod/x\n", "/sys/fs/cgroup/pod/x/memory.events"],
    ["0::/pod/x\n", "/sys/fs/cgroup/memory.events"],
    ["5:cpu:/a\n4:memory:/b\n0::/\n", "/sys/fs/cgroup/memory/b/memory.oom_control"],
  ] as const) {
    const files = { "/proc/self/cgroup": groups, [path]: "max 3\noom_kill 2\n" };
    const memory = kills(files);
    assert.equal(memory.read(), 2, path);
    assert.equal(memory.happened(true), false, "somebody else killed it");
    files[path] = "oom_kill 3\n";
    assert.equal(memory.happened(false), false, "another process was killed");
    files[path] = "oom_kill 4\n";
    assert.equal(memory.happened(true), true);
    assert.equal(memory.happened(true), false, "each kill counts once");
    files[path] = "oom_kill 5\n";
    assert.equal(memory.happened(undefined), true, "nobody saw how it ended");
  }
});

test("where the system does not tell, a kill that nobody here sent is taken for one", () => {
  const memory = kills({});
  assert.equal(memory.read(), undefined);
  assert.equal(memory.happened(true), true);
  assert.equal(memory.happened(undefined), false);
  assert.equal(memory.happened(false), false);
});
