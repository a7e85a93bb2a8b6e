import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { AppError } from "../base/errors.ts";
import type { KubeObject } from "../kubernetes/resources.ts";
import { PrometheusSettings } from "./prometheus-settings.ts";
import {
  MONITOR_KINDS,
  type MonitorKind,
  type Reference,
  type Translation,
} from "./translation.ts";

/** An object of a test's file, as the API gives it. */
export interface FixtureObject extends KubeObject {
  readonly kind: string;
  readonly spec?: unknown;
  readonly data?: Readonly<Record<string, string>>;
  readonly stringData?: Readonly<Record<string, string>>;
}

/** A file of `testdata/`: a Prometheus object, Secrets and ConfigMaps, and the resources to translate. */
export interface Fixture {
  readonly name: string;
  readonly prometheus: FixtureObject;
  readonly settings: PrometheusSettings;
  /** In the order of the operator's configuration. */
  readonly monitors: readonly { readonly kind: MonitorKind; readonly object: FixtureObject }[];
  /** What the operator made of it. */
  readonly golden: string;
  translation(object: FixtureObject): Translation;
}

const FOLDER = join(import.meta.dirname, "testdata");

export function fixtureNames(): string[] {
  return globSync("*.golden.yml", { cwd: FOLDER })
    .map((name) => name.replace(/\.golden\.yml$/, ""))
    .sort();
}

export function readFixture(name: string): Fixture {
  const objects = parseObjects(readFileSync(join(FOLDER, `${name}.yaml`), "utf8"));
  const prometheus = objects.find(({ kind }) => kind === "Prometheus")!;
  const settings = new PrometheusSettings({
    namespace: prometheus.metadata.namespace!,
    spec: prometheus.spec,
  });
  const monitors = MONITOR_KINDS.flatMap((kind) =>
    objects
      .filter((object) => object.kind === kind)
      .map((object) => ({ kind, object }))
      .sort((a, b) => (keyOf(a.object) < keyOf(b.object) ? -1 : 1)),
  );
  return {
    name,
    prometheus,
    settings,
    monitors,
    golden: readFileSync(join(FOLDER, `${name}.golden.yml`), "utf8"),
    translation: ({ metadata }) => ({
      settings,
      namespace: metadata.namespace!,
      name: metadata.name!,
      lookup: (reference) => lookUp(objects, reference),
      kubeconfigFile: "",
    }),
  };
}

export function parseObjects(text: string): FixtureObject[] {
  return parseAllDocuments(text).map((document) => document.toJS() as FixtureObject);
}

export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function lookUp(objects: readonly FixtureObject[], reference: Reference): string {
  const { kind, namespace, name, key } = reference;
  const found = objects.find((one) => one.kind === kind && keyOf(one) === `${namespace}/${name}`);
  const value = found?.stringData?.[key] ?? found?.data?.[key];
  if (value === undefined)
    throw new AppError("bad-data", `${kind} ${namespace}/${name} has no key ${key}`);
  return value;
}
