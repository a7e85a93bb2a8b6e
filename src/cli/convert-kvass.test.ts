import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { type FakeRule, grants } from "../../test/support/fake-kubernetes-rbac.ts";
import { decodeAssignment, parseJson } from "../shard/wire.ts";
import { convertArguments, convertManifests } from "./convert-kvass.ts";
import { convertShardFile } from "./convert-shard-file.ts";

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
          # what it runs with
          command:
            - sidecar
            # on the volume
            - --store.path=/prometheus/ # kept here

            # for the coordinator
            - --web.api-addr=:8080 # the pod's
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
  assert.match(
    text,
    /\n +# what it runs with\n +args:\n +- sidecar\n +# on the volume\n +- --store\.path=\/prometheus\/ # kept here\n\n +# for the coordinator\n +- --web\.listen-address=:8080 # the pod's\n/,
  );
  assert.match(text, /--web\.listen-address=:8080/);
  assert.match(text, /--grpc-address=127\.0\.0\.1:10911/);
  assert.match(text, /example\/thanos:v1/);
  assert.match(text, /---\nkind: ConfigMap\ndata: \{a: "010"\}/);
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

const ROLE = `# rights
kind: ClusterRole
metadata: {name: prometheus}
rules:
  - apiGroups: [apps] # the shards
    resources: [statefulsets]
    verbs: [list, get, patch, update]
  - apiGroups: [""]
    resources: [pods, secrets]
    verbs: ["*"]
`;

test("the role of Kvass's coordinator gets what ours asks for, and keeps what it had", () => {
  const options = { path: "rbac.yaml", image: "i" };
  const { text, notes } = convertManifests(ROLE, options);
  assert.ok(text.startsWith(ROLE), "nothing else changes");
  const { rules } = parse(text) as { readonly rules: readonly FakeRule[] };
  const may = (verb: string, group: string, resource: string): boolean =>
    grants(rules, { verb, group, resource, user: "", namespace: "n", name: undefined });
  for (const verb of ["list", "watch", "get"]) assert.ok(may(verb, "apps", "statefulsets"), verb);
  assert.ok(may("update", "apps", "statefulsets/scale"));
  assert.ok(!may("delete", "apps", "statefulsets"));
  assert.match(notes.join("\n"), /ClusterRole prometheus: may watch statefulsets now/);
  assert.doesNotMatch(notes.join("\n"), /pods now/);
  const other = ROLE.replace("patch, update", "watch");
  assert.deepEqual(convertManifests(other, options), { text: other, notes: [], errors: [] });
});

test("a kvass-shard.json is shown as the list that a sidecar makes of it", async () => {
  const file = new URL("../sidecar/testdata/kvass/state.json", import.meta.url);
  const recorded = JSON.parse(readFileSync(file, "utf8")) as {
    readonly config: string;
    readonly hashes: readonly string[];
    readonly state: string;
  };
  const folder = mkdtempSync(join(tmpdir(), "shoal-convert-"));
  try {
    const configFile = join(folder, "prometheus.yml");
    writeFileSync(configFile, recorded.config);
    const whole = await convertShardFile(recorded.state, { configFile, nowMs: 5 });
    const list = decodeAssignment(parseJson(whole.text));
    assert.equal(list.length, recorded.hashes.length);
    assert.ok(list.every(({ target, load }) => target.url !== "" && load.rawSeries === 30));
    assert.equal(whole.notes.length, 1);
    writeFileSync(configFile, recorded.config.replace("job_name: plain", "job_name: other"));
    const { notes } = await convertShardFile(recorded.state, { configFile, nowMs: 5 });
    assert.equal(
      notes[1],
      "4 targets of job plain are left out: the configuration has no such job",
    );
    await assert.rejects(convertShardFile("{", { configFile, nowMs: 5 }), { code: "bad-data" });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
