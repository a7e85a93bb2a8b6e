/** Reads deploy/kubernetes as kustomize does, as far as our files go: resources, components, nameSuffix, JSON patches. */
import { readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parse, parseAllDocuments } from "yaml";
import type { KubeObject } from "../../src/kubernetes/resources.ts";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const MANIFESTS = join(root, "deploy/kubernetes");

export interface Manifest extends KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubeObject["metadata"] & { readonly name: string };
  // Tests read what they know to be there.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly [field: string]: any;
}

interface Kustomization {
  readonly resources?: readonly string[];
  readonly components?: readonly string[];
  readonly nameSuffix?: string;
  readonly patches?: readonly {
    readonly target: { readonly kind: string; readonly name?: string };
    readonly patch: string;
  }[];
}

interface Operation {
  readonly op: "add" | "replace";
  readonly path: string;
  readonly value: unknown;
}

/** All objects of a folder with a kustomization, with `components` put on top. */
export function readManifests(folder: string, components: readonly string[] = []): Manifest[] {
  return components.reduce(
    (objects, component) => read(join(MANIFESTS, component), objects),
    read(join(MANIFESTS, folder), []),
  );
}

export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    if (document.errors.length > 0) throw new Error(String(document.errors[0]));
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

/** The one object of this kind and name. */
export function pick(objects: readonly Manifest[], kind: string, name: string): Manifest {
  const found = objects.filter((object) => object.kind === kind && object.metadata.name === name);
  if (found.length !== 1) throw new Error(`there are ${found.length} of ${kind} ${name}`);
  return found[0]!;
}

/** The objects of `folder` after those of `before`, which its patches change, too. */
function read(folder: string, before: readonly Manifest[]): Manifest[] {
  const kustomization = parse(
    readFileSync(join(folder, "kustomization.yaml"), "utf8"),
  ) as Kustomization;
  const { resources = [], components = [], nameSuffix = "", patches = [] } = kustomization;
  let own = resources.flatMap((resource) => {
    const path = join(folder, resource);
    return statSync(path).isDirectory()
      ? read(path, [])
      : parseManifests(readFileSync(path, "utf8"));
  });
  own = own.map((object) => suffixed(object, nameSuffix, own));
  const objects = components.reduce(
    (all, component) => read(join(folder, component), all),
    [...before, ...own],
  );
  for (const { target, patch } of patches) {
    const targets = objects.filter(
      ({ kind, metadata }) =>
        kind === target.kind && (target.name === undefined || metadata.name === target.name),
    );
    if (targets.length === 0) throw new Error(`${folder}: a patch has no target`);
    for (const object of targets)
      for (const operation of parse(patch) as Operation[]) apply(object, operation);
  }
  return objects;
}

function suffixed(object: Manifest, suffix: string, all: readonly Manifest[]): Manifest {
  if (suffix === "") return object;
  const renamed = {
    ...object,
    metadata: { ...object.metadata, name: object.metadata.name + suffix },
  };
  const service = object["spec"]?.serviceName as string | undefined;
  const isOurs = all.some(({ kind, metadata }) => kind === "Service" && metadata.name === service);
  return isOurs
    ? { ...renamed, spec: { ...object["spec"], serviceName: service + suffix } }
    : renamed;
}

function apply(object: Manifest, { op, path, value }: Operation): void {
  const keys = path
    .slice(1)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = keys.pop()!;
  let at: unknown = object;
  for (const key of keys) at = (at as Record<string, unknown>)[key];
  if (typeof at !== "object" || at === null) throw new Error(`a patch has no place: ${path}`);
  if (Array.isArray(at) && last === "-") at.push(value);
  else if (op === "replace" && !(last in at))
    throw new Error(`there is nothing to replace: ${path}`);
  else (at as Record<string, unknown>)[last] = value;
}
