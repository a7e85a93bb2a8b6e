import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { test } from "node:test";
import {
  apiData,
  freePort,
  type RunningProcess,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";
import {
  replicaConfig,
  startExporter,
  startReplicaGroups,
  TARGET_SERIES,
} from "./support/replica-groups.ts";
import { value } from "./support/sidecar-shards.ts";

const TARGETS = 4;

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data?: { result: { metric: Record<string, string>; value: [number, string] }[] };
  readonly warnings?: readonly string[];
  readonly infos?: readonly string[];
}

test("two replica groups are one to a query, and one of them is enough", async () => {
  const folder = temporaryFolder("replicas");
  const running: RunningProcess[] = [];
  const exporters = await Promise.all(Array.from({ length: TARGETS }, startExporter));
  try {
    const { shards, coordinator } = await startReplicaGroups({
      folder,
      config: replicaConfig(exporters.map(({ address }) => address)),
      shardsEach: 2,
      running,
    });
    const grpc = `127.0.0.1:${await freePort()}`;
    const query = await startShoal({
      args: ["query", `--coordinator.url=${coordinator.url}`, `--grpc-address=${grpc}`],
    });
    running.push(query);
    const ask = async (text: string, more = ""): Promise<Answer> => {
      const answer = await fetch(
        `${query.url}/api/v1/query?query=${encodeURIComponent(text)}${more}`,
      );
      return (await answer.json()) as Answer;
    };
    const whole = 'count({__name__=~"work_total|level"})';
    const size = TARGETS * TARGET_SERIES;
    const counted = async (more = ""): Promise<number> =>
      Number((await ask(whole, more)).data?.result[0]?.value[1]);
    await until("both groups have all series", async () =>
      (await counted("&dedup=false")) === 2 * size ? true : undefined,
    );
    assert.equal(await counted(), size);
    assert.equal(await counted("&replicaLabels[]=nothing"), 2 * size);
    const one = await ask('level{i="1"}');
    assert.deepEqual(
      one.data?.result.map(({ metric }) => [metric["cluster"], metric["replica"]]),
      exporters.map(() => ["eu", undefined]),
    );
    const replicas = await apiData<string[]>(`${query.url}/api/v1/label/replica/values`);
    assert.deepEqual(replicas, ["a", "b"]);
    assert.equal(await value(query.url, 'count({replica="b",__name__="level"})'), size / 2);
    const stores = await apiData<Record<string, { labelSets: object[] }[]>>(
      `${query.url}/api/v1/stores`,
    );
    assert.deepEqual(
      stores["sidecar"]?.map(({ labelSets }) => labelSets[0]),
      ["a", "a", "b", "b"].map((replica) => ({ cluster: "eu", replica })),
    );

    const above = await startShoal({
      args: ["query", `--endpoint=${grpc}`, "--query.replica-label=replica"],
    });
    running.push(above);
    await until("the query above sees all", async () =>
      (await value(above.url, whole)) === size ? true : undefined,
    );
    assert.deepEqual(Object.keys(await apiData<object>(`${above.url}/api/v1/stores`)), ["query"]);

    const kill = async (id: string): Promise<void> => {
      const { child } = shards.find((shard) => shard.id === id)!;
      child.kill("SIGKILL");
      if (child.signalCode === null) await once(child, "exit");
    };
    await kill("b-1");
    const half = await ask(whole);
    assert.equal(half.warnings, undefined);
    assert.equal(half.infos?.length, 1);
    assert.match(
      half.infos[0]!,
      /^replica b of shard-1 did not answer \(store .*\); replica a did$/,
    );
    assert.equal(Number(half.data?.result[0]?.value[1]), size);
    assert.equal((await ask(whole, "&partial_response=false")).status, "success");
    const apart = await ask(whole, "&dedup=false");
    assert.match(
      apart.warnings?.at(-1) ?? "",
      /^the answer is incomplete: 3 of 4 stores answered$/,
    );

    await kill("a-1");
    const lost = await ask(whole);
    assert.match(lost.warnings?.at(-1) ?? "", /^the answer is incomplete: 2 of 4 stores answered$/);
    assert.ok(Number(lost.data?.result[0]?.value[1]) < size);
    const refused = await ask(whole, "&partial_response=false");
    assert.equal(refused.status, "error");
    assert.match(refused.error ?? "", /receive series from/);
  } finally {
    for (const { stop } of running.toReversed()) await stop();
    for (const { server } of exporters) server.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
