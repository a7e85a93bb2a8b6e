import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Labels } from "../model/labels.ts";
import { judge, type StoreOutcome } from "./completeness.ts";

const REPLICA = ["replica"];

/** `labels` as `cluster/replica`; several sets with `+` between. */
function store(address: string, labels: string, problem?: string): StoreOutcome {
  const labelSets = labels
    .split("+")
    .map((set) => set.split("/"))
    .map(([cluster = "", replica = ""]) => Labels.fromObject({ cluster, replica }))
    .filter((set) => set.count > 0);
  return { address, shard: undefined, replica: undefined, labelSets, problem };
}

function shard(name: string, replica: string, problem?: string): StoreOutcome {
  return { address: `${name}-${replica}`, shard: name, replica, labelSets: [], problem };
}

function notes(outcomes: readonly StoreOutcome[], labels: readonly string[] = REPLICA): unknown {
  const { warnings, infos, isComplete } = judge(outcomes, labels);
  assert.equal(isComplete, warnings.length === 0);
  return { warnings, infos };
}

describe("judge", () => {
  it("takes a silent replica for nothing lost when another one of the same shard answered", () => {
    assert.deepEqual(
      notes([
        shard("shard-0", "a"),
        shard("shard-0", "b"),
        shard("shard-1", "a"),
        shard("shard-1", "b", "it hangs"),
      ]),
      {
        warnings: [],
        infos: ["replica b of shard-1 did not answer (store shard-1-b: it hangs); replica a did"],
      },
    );
  });

  it("misses a shard when none of its replicas answered", () => {
    assert.deepEqual(
      notes([
        shard("shard-0", "a"),
        shard("shard-1", "a", "it hangs"),
        shard("shard-1", "b", "it is down"),
      ]),
      {
        warnings: ["it hangs", "it is down", "the answer is incomplete: 1 of 3 stores answered"],
        infos: [],
      },
    );
  });

  it("takes each answer for what it is when series are wanted by replica", () => {
    assert.deepEqual(notes([shard("shard-1", "a"), shard("shard-1", "b", "it hangs")], []), {
      warnings: ["it hangs", "the answer is incomplete: 1 of 2 stores answered"],
      infos: [],
    });
  });

  it("knows stores by their labels where nobody says which shard they are", () => {
    assert.deepEqual(notes([store("x", "eu/a"), store("y", "eu/b", "it hangs")]), {
      warnings: [],
      infos: ['replica b of {cluster="eu"} did not answer (store y: it hangs); replica a did'],
    });
    assert.deepEqual(notes([store("x", "/a"), store("y", "/b", "it hangs")]), {
      warnings: [],
      infos: ["replica b did not answer (store y: it hangs); replica a did"],
    });
    for (const other of ["us/a", "eu/", "", "eu/a+eu/c"])
      assert.deepEqual(notes([store("x", other), store("y", "eu/b", "it hangs")]), {
        warnings: ["it hangs", "the answer is incomplete: 1 of 2 stores answered"],
        infos: [],
      });
  });

  it("trusts a replica of several stores only when all of them answered", () => {
    const one = [store("a0", "eu/a"), store("a1", "eu/a"), store("b0", "eu/b", "it hangs")];
    assert.deepEqual(notes([...one, store("b1", "eu/b", "it is down")]), {
      warnings: [],
      infos: [
        'replica b of {cluster="eu"} did not answer (store b0: it hangs); replica a did',
        'replica b of {cluster="eu"} did not answer (store b1: it is down); replica a did',
      ],
    });
    assert.deepEqual(
      notes([...one.slice(1), store("a0", "eu/a", "it is down"), store("b1", "eu/b")]),
      {
        warnings: ["it hangs", "it is down", "the answer is incomplete: 2 of 4 stores answered"],
        infos: [],
      },
    );
  });
});
