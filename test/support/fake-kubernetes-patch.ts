/** The kinds of patch that the API server takes. */
import type { FakeObject } from "./fake-kubernetes-store.ts";

type Json = Record<string, unknown>;

/** The patched object, or undefined when the server does not take this content type. */
export function applyPatch(
  object: FakeObject,
  patch: unknown,
  contentType: string,
): FakeObject | undefined {
  const copy = structuredClone(object);
  switch (contentType.split(";")[0]!.trim()) {
    case "application/merge-patch+json":
      return merge(copy, patch, {}) as FakeObject;
    case "application/strategic-merge-patch+json":
      return merge(copy, patch, MERGE_KEYS) as FakeObject;
    case "application/json-patch+json":
      for (const one of patch as Operation[]) operate(copy, one);
      return copy;
    default:
      return undefined;
  }
}

/** The lists that a strategic merge joins by a key of their elements; all others are replaced. */
const MERGE_KEYS: Readonly<Record<string, string>> = {
  containers: "name",
  initContainers: "name",
  env: "name",
  volumes: "name",
  volumeMounts: "mountPath",
  ports: "containerPort",
  conditions: "type",
  ownerReferences: "uid",
};

function merge(target: unknown, patch: unknown, keys: Readonly<Record<string, string>>): unknown {
  if (!isMapping(patch)) return patch;
  const result: Json = isMapping(target) ? { ...target } : {};
  for (const [key, value] of Object.entries(patch)) {
    const listKey = keys[key];
    if (value === null) delete result[key];
    else if (Array.isArray(value) && listKey !== undefined)
      result[key] = mergeList(result[key], value, { listKey, keys });
    else result[key] = merge(result[key], value, keys);
  }
  return result;
}

function mergeList(
  target: unknown,
  patch: readonly unknown[],
  by: { readonly listKey: string; readonly keys: Readonly<Record<string, string>> },
): unknown[] {
  const result: unknown[] = Array.isArray(target) ? [...(target as unknown[])] : [];
  for (const element of patch) {
    if (!isMapping(element)) continue;
    const at = result.findIndex((one) => isMapping(one) && one[by.listKey] === element[by.listKey]);
    if (element["$patch"] === "delete") {
      if (at !== -1) result.splice(at, 1);
    } else if (at === -1) result.push(element);
    else result[at] = merge(result[at], element, by.keys);
  }
  return result;
}

interface Operation {
  readonly op: "add" | "replace" | "remove" | "test";
  readonly path: string;
  readonly value?: unknown;
}

function operate(root: Json, operation: Operation): void {
  const steps = operation.path
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = steps.pop()!;
  let at: unknown = root;
  for (const step of steps)
    at = isMapping(at) || Array.isArray(at) ? Reflect.get(at, step) : undefined;
  if (Array.isArray(at)) {
    const index = last === "-" ? at.length : Number(last);
    if (operation.op === "add") at.splice(index, 0, operation.value);
    else if (operation.op === "remove") at.splice(index, 1);
    else if (operation.op === "replace") at[index] = operation.value;
  } else if (isMapping(at)) {
    if (operation.op === "remove") delete at[last];
    else if (operation.op !== "test") at[last] = operation.value;
    else if (JSON.stringify(at[last]) !== JSON.stringify(operation.value))
      throw new Error(`testing path ${operation.path} failed`);
  } else throw new Error(`path ${operation.path} does not exist`);
}

function isMapping(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
