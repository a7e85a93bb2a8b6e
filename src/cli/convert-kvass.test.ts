import assert from "node:assert/strict";
import { test } from "node:test";
import { convertArguments, convertManifests } from "./convert-kvass.ts";

test("a coordinator's command line: other names, Kvass's defaults, traps and unknown flags", () => {
  const { args, notes, errors } = convertArguments("coordinator", [
    "--web.address=:9999",
    "--shard.max-head-series",
    "750000",
    "--sd.init-timeout=5m",
    "--no-such-flag=1",
  ]);
  assert.deepEqual(args, [
    "--web.listen-address=:9999",
    "--shard.max-head-series=750000",
    "--shard.type=k8s",
    "--shard.selector=app.kubernetes.io/name=prometheus",
    "--web.enable-lifecycle=true",
  ]);
  assert.deepEqual(errors, ["coordinator: cannot convert --no-such-flag=1: there is no such flag"]);
  const all = notes.join("\n");
  assert.match(all, /--web\.address is --web\.listen-address now/);
  assert.match(all, /--sd\.init-timeout is left out/);
  assert.match(all, /volume claims of removed shards are kept/);
  assert.match(all, /:9999 is open to everybody/);
});

test("a sidecar asks through its proxy only for agents without a head", () => {
  const proxy = "--web.proxy-addr=:8008";
  assert(!convertArguments("sidecar", [proxy]).args.includes(proxy));
  const agent = convertArguments("sidecar", [proxy, "--shard.fetch-head-series=false"]).args;
  assert(agent.includes(proxy) && agent.includes("--delivery=proxy"));
});

const MANIFEST = `# shards
apiVersion: apps/v1
kind: StatefulSet
spec:
  replicas: 0 # filled by the coordinator
  template:
    spec:
      containers:
        - name: store
          image: example/thanos:v1
        - name: side
          image: example/kvass:latest
          args:
            - sidecar
            - --store.path=/prometheus/ # kept here
            - --web.api-addr=:8080
        - name: prometheus
          image: example/prometheus:v3
          args: [--web.enable-lifecycle]
      volumes:
        - name: data
          emptyDir: {}
---
kind: ConfigMap
data: {a: "010"}
`;

test("a manifest keeps everything that is not Kvass's, comments too", () => {
  const { text, notes, errors } = convertManifests(MANIFEST, { path: "m.yaml", image: "shoal:1" });
  assert.deepEqual(errors, []);
  assert.match(text, /^# shards\n/);
  assert.match(text, /replicas: 0 # filled by the coordinator/);
  assert.match(text, /image: shoal:1\n/);
  assert.match(text, /- sidecar\n +- --store\.path=\/prometheus\/ # kept here\n/);
  assert.match(text, /--web\.listen-address=:8080/);
  assert.match(text, /--grpc-address=127\.0\.0\.1:10911/);
  assert.match(text, /example\/thanos:v1/);
  assert.match(text, /---\nkind: ConfigMap\ndata: *\{ ?a: "010" ?\}/);
  assert.match(notes.join("\n"), /volume data is an emptyDir/);
  assert.match(notes.join("\n"), /image had no fixed version/);
});

test("a file without Kvass stays as it is, a broken one is refused", () => {
  const text = "kind: Service\nspec:   {ports: [ 1 ]}\n";
  assert.equal(convertManifests(text, { path: "s.yaml", image: "i" }).text, text);
  assert.throws(
    () => convertManifests("a: [", { path: "s.yaml", image: "i" }),
    /cannot read s\.yaml/,
  );
});
