import assert from "node:assert/strict";
import { test } from "node:test";
import { createGrpcServer } from "../grpc/server.ts";
import type { Exemplar } from "../model/exemplar.ts";
import { Labels } from "../model/labels.ts";
import { parseExpression, WHOLE_LANGUAGE } from "../promql/parser.ts";
import { selectorsOf } from "../promql/selectors.ts";
import { MemoryQueryable } from "../storage/memory-queryable.ts";
import { createExemplarService } from "../store/exemplar-server.ts";
import { createStoreServices } from "../store/store-server.ts";
import { ExemplarStore } from "../tsdb/exemplar-store.ts";
import { EndpointSet } from "./endpoint-set.ts";
import { queryExemplars } from "./exemplars.ts";

const series = (name: string, i: string): Labels => Labels.fromObject({ __name__: name, i });

function exemplar(timeMs: number, value: number): Exemplar {
  return { labels: Labels.fromObject({ trace_id: `t${value}`, é: '"' }), value, timeMs };
}

/** A store of exemplars that is served; without `serves` its Info does not name them. */
async function serve(
  store: ExemplarStore,
  options: { external?: Record<string, string>; serves?: boolean; fails?: boolean } = {},
): Promise<{ address: string; stop: () => Promise<void> }> {
  const externalLabels = (): Labels => Labels.fromObject(options.external ?? {});
  const ready = (): boolean => true;
  const server = createGrpcServer({
    port: 0,
    graceMs: 0,
    services: [
      ...createStoreServices({
        queryable: new MemoryQueryable([]),
        externalLabels,
        minTimeMs: () => 0,
        maxTimeMs: () => 2 ** 63,
        ready,
        exemplars: options.serves ?? true,
      }),
      createExemplarService({
        exemplars: (request) => store.select(request),
        externalLabels,
        ready: () => options.fails !== true,
      }),
    ],
  });
  await server.start();
  const { host, port } = server.address();
  return { address: `${host}:${port}`, stop: () => server.stop() };
}

test("exemplars of all stores, of replicas once, by range and selector", async () => {
  const store = new ExemplarStore(100);
  store.add(series("a", "1"), exemplar(10, 1));
  store.add(series("a", "1"), exemplar(20, 2));
  store.add(series("b", "1"), exemplar(10, 3));
  store.add(series("c", "1"), exemplar(10, 4));
  const other = new ExemplarStore(100);
  other.add(series("a", "1"), exemplar(15, 5));
  other.add(series("a", "2"), exemplar(25, -0));
  const servers = [
    await serve(store, { external: { replica: "r1", region: "eu" } }),
    await serve(store, { external: { replica: "r2", region: "eu" } }),
    await serve(other, { external: { replica: "r1", region: "us" } }),
    await serve(other, { serves: false }),
    await serve(other, { external: { region: "eu" }, fails: true }),
  ];
  const set = new EndpointSet({ provider: () => servers.map(({ address }) => address) });
  await set.start();
  const ask = async (query: string, startMs = 0, endMs = 100): Promise<unknown[]> => {
    const result = await queryExemplars(
      { query, selectors: selectorsOf(parseExpression(query, WHOLE_LANGUAGE)), startMs, endMs },
      { endpoints: set.endpoints(), replicaLabels: ["replica"], partialResponse: "warn" },
    );
    return [
      ...result.series.map(({ labels, exemplars }) => [
        labels.toString(),
        ...exemplars.map(({ timeMs, value }) => [timeMs, value]),
      ]),
      result.warnings.length > 0,
    ];
  };
  try {
    const a = (region: string): string => `{__name__="a", i="1", region="${region}"}`;
    assert.deepEqual(await ask('rate(a{i="1"}[5m]) + b'), [
      [a("eu"), [10, 1], [20, 2]],
      [a("us"), [15, 5]],
      ['{__name__="b", i="1", region="eu"}', [10, 3]],
      true,
    ]);
    assert.deepEqual(await ask('a{region="us"}'), [
      [a("us"), [15, 5]],
      ['{__name__="a", i="2", region="us"}', [25, -0]],
      false,
    ]);
    assert.deepEqual(await ask("a", 16, 20), [[a("eu"), [20, 2]], true]);
    assert.deepEqual(await ask("1 + 1"), [false]);
    // What may be asked is decided before.
    const experimental = 'rate(a{region="us", i="2"}[5m] anchored) + fill(0) limitk(1, b)';
    const found = ['{__name__="a", i="2", region="us"}', [25, -0]];
    assert.deepEqual((await ask(experimental)).at(0), found);
  } finally {
    await set.stop();
    await Promise.all(servers.map(({ stop }) => stop()));
  }
});
