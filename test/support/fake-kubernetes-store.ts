/**
 * What a fake API server remembers: objects by type, a version for every write, and the history that watches are served
 * from, which can be compacted.
 */
import { randomUUID } from "node:crypto";
import { matchesFields, matchesLabels } from "./fake-kubernetes-selectors.ts";

export interface FakeObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: readonly { kind: string; name: string; uid?: string; controller?: boolean }[];
    finalizers?: readonly string[];
    [key: string]: unknown;
  };
  [key: string]: unknown;
}

export interface FakeType {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
  /** Whether the status is written apart, by the `status` subresource. */
  readonly hasStatus: boolean;
}

export interface FakeSelection {
  readonly namespace: string | undefined;
  readonly labelSelector: string;
  readonly fieldSelector: string;
}

interface Change {
  readonly version: number;
  readonly object: FakeObject;
  /** Undefined when it was created. */
  readonly previous: FakeObject | undefined;
  readonly isDeleted: boolean;
}

export interface FakeEvent {
  readonly type: "ADDED" | "MODIFIED" | "DELETED";
  readonly object: FakeObject;
}

/** Changes of one type that watches can still be served from. */
const HISTORY_MAX_CHANGES = 20_000;

class Collection {
  readonly objects = new Map<string, FakeObject>();
  history: Change[] = [];
  /** Changes up to this version are forgotten. */
  compactedVersion = 0;
}

export class FakeStore {
  readonly #collections = new Map<FakeType, Collection>();
  readonly #listeners = new Set<(type: FakeType, change: Change) => void>();
  #version = 0;

  get version(): number {
    return this.#version;
  }

  get(type: FakeType, namespace: string | undefined, name: string): FakeObject | undefined {
    return this.#of(type).objects.get(keyOf(namespace, name));
  }

  /** In order of key, as etcd has them. */
  list(type: FakeType, selection: FakeSelection): FakeObject[] {
    const found = [...this.#of(type).objects]
      .filter(([, object]) => selects(selection, object))
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return found.map(([, object]) => object);
  }

  /** Writes `object` whole, with a new version; sets what the server sets. */
  put(type: FakeType, object: FakeObject): FakeObject {
    const { metadata } = object;
    const key = keyOf(metadata.namespace, metadata.name);
    const collection = this.#of(type);
    const previous = collection.objects.get(key);
    const changesSpec = JSON.stringify(previous?.["spec"]) !== JSON.stringify(object["spec"]);
    const generation = previous?.metadata.generation ?? 0;
    const version = ++this.#version;
    const stored: FakeObject = {
      ...object,
      apiVersion: type.group === "" ? type.version : `${type.group}/${type.version}`,
      kind: type.kind,
      metadata: {
        ...metadata,
        uid: previous?.metadata.uid ?? metadata.uid ?? randomUUID(),
        creationTimestamp:
          previous?.metadata.creationTimestamp ??
          metadata.creationTimestamp ??
          new Date().toISOString().replace(/\.\d+/, ""),
        generation: changesSpec ? generation + 1 : generation,
        resourceVersion: String(version),
      },
    };
    collection.objects.set(key, stored);
    this.#record(type, { version, object: stored, previous, isDeleted: false });
    return stored;
  }

  /** Removes an object at once; undefined when there is none. */
  remove(type: FakeType, namespace: string | undefined, name: string): FakeObject | undefined {
    const collection = this.#of(type);
    const key = keyOf(namespace, name);
    const previous = collection.objects.get(key);
    if (previous === undefined) return undefined;
    collection.objects.delete(key);
    const version = ++this.#version;
    const object = {
      ...previous,
      metadata: { ...previous.metadata, resourceVersion: String(version) },
    };
    this.#record(type, { version, object, previous, isDeleted: true });
    return object;
  }

  /** Forgets the history: watches and lists can no longer go on from earlier versions. */
  compact(): void {
    this.#version++;
    for (const collection of this.#collections.values()) {
      collection.history = [];
      collection.compactedVersion = this.#version;
    }
  }

  isCompacted(type: FakeType, version: number): boolean {
    return version < this.#of(type).compactedVersion;
  }

  /** What a watch of `selection` sees of everything after `version`. */
  since(type: FakeType, version: number, selection: FakeSelection): FakeEvent[] {
    return this.#of(type)
      .history.filter((change) => change.version > version)
      .flatMap((change) => toEvent(selection, change) ?? []);
  }

  /** Calls `listener` with what a watch of `selection` sees from now on; the result ends it. */
  follow(
    type: FakeType,
    selection: FakeSelection,
    listener: (event: FakeEvent) => void,
  ): () => void {
    return this.onChange((changed, change) => {
      if (changed !== type) return;
      const event = toEvent(selection, change);
      if (event !== undefined) listener(event);
    });
  }

  onChange(listener: (type: FakeType, change: Change) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #record(type: FakeType, change: Change): void {
    const collection = this.#of(type);
    collection.history.push(change);
    if (collection.history.length > HISTORY_MAX_CHANGES) {
      const forgotten = collection.history.splice(0, HISTORY_MAX_CHANGES / 2);
      collection.compactedVersion = forgotten.at(-1)!.version;
    }
    for (const listener of this.#listeners) listener(type, change);
  }

  #of(type: FakeType): Collection {
    let collection = this.#collections.get(type);
    if (collection === undefined) this.#collections.set(type, (collection = new Collection()));
    return collection;
  }
}

function keyOf(namespace: string | undefined, name: string): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function selects(selection: FakeSelection, object: FakeObject): boolean {
  const { namespace, labelSelector, fieldSelector } = selection;
  return (
    (namespace === undefined || object.metadata.namespace === namespace) &&
    matchesLabels(labelSelector, object.metadata.labels ?? {}) &&
    matchesFields(fieldSelector, object)
  );
}

/** An object that comes into a selection is added to it, and one that leaves it is deleted from it, as in the real server. */
function toEvent(selection: FakeSelection, change: Change): FakeEvent | undefined {
  const { object, previous, isDeleted } = change;
  const was = previous !== undefined && selects(selection, previous);
  const is = !isDeleted && selects(selection, object);
  if (was && is) return { type: "MODIFIED", object };
  if (is) return { type: "ADDED", object };
  if (!was) return undefined;
  const { resourceVersion } = object.metadata;
  return {
    type: "DELETED",
    object: { ...previous, metadata: { ...previous.metadata, resourceVersion: resourceVersion! } },
  };
}
