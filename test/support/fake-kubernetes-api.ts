/** The verbs of a fake API server, on its store. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { applyPatch } from "./fake-kubernetes-patch.ts";
import { Refusal, sendJson, sendList } from "./fake-kubernetes-refusal.ts";
import type { ApiRequest } from "./fake-kubernetes-request.ts";
import type { FakeObject, FakeStore, FakeType } from "./fake-kubernetes-store.ts";
import type { FakeWatches } from "./fake-kubernetes-watches.ts";

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: unknown;
}

export class FakeApi {
  readonly #store: FakeStore;
  readonly #watches: FakeWatches;
  readonly #types: readonly FakeType[];
  readonly #snapshots = new Map<string, { items: FakeObject[]; version: number }>();
  readonly #hasWatchLists: boolean;
  #snapshotCount = 0;

  constructor(parts: {
    /** Lists that come as the first events of a watch. */
    readonly hasWatchLists: boolean;
    readonly store: FakeStore;
    readonly watches: FakeWatches;
    readonly types: readonly FakeType[];
  }) {
    this.#store = parts.store;
    this.#watches = parts.watches;
    this.#types = parts.types;
    this.#hasWatchLists = parts.hasWatchLists;
  }

  /** The pages of lists that are being read can no longer be gone on with. */
  forgetPages(): void {
    this.#snapshots.clear();
  }

  serve(asked: ApiRequest, at: Exchange): void {
    const { response, body } = at;
    switch (asked.verb) {
      case "get":
        sendJson(
          response,
          200,
          asked.subresource === "scale" ? scaleOf(this.#known(asked)) : this.#known(asked),
        );
        return;
      case "list":
        sendList(response, this.#page(asked));
        return;
      case "watch":
        this.#watch(asked, response);
        return;
      case "create":
        sendJson(response, 201, this.#create(asked, body as FakeObject));
        return;
      case "update":
        sendJson(response, 200, this.#update(asked, body as FakeObject));
        return;
      case "patch":
        sendJson(response, 200, this.#patch(asked, body, at.request.headers["content-type"] ?? ""));
        return;
      case "delete":
        sendJson(response, 200, this.#delete(asked, (body ?? {}) as DeleteOptions));
        return;
      case "deletecollection":
        throw new Refusal(405, "the fake server deletes no collections");
    }
  }

  #known(asked: ApiRequest): FakeObject {
    const { type, namespace, name } = asked;
    const found = this.#store.get(type, namespace, name!);
    if (found === undefined) throw new Refusal(404, `${describe(type)} "${name}" not found`);
    return found;
  }

  #page(asked: ApiRequest): {
    readonly items: readonly unknown[];
    readonly [field: string]: unknown;
  } {
    const { type, query } = asked;
    const limit = Number(query.get("limit") ?? 0);
    const token = query.get("continue") ?? "";
    const asksVersion = query.get("resourceVersion") ?? "";
    let start = 0;
    let id = "";
    let snapshot: { items: FakeObject[]; version: number } | undefined;
    if (token === "") {
      if (Number(asksVersion || 0) > this.#store.version)
        throw new Refusal(
          504,
          `Too large resource version: ${asksVersion}, current: ${this.#store.version}`,
        );
      snapshot = { items: this.#store.list(type, asked), version: this.#store.version };
    } else {
      [id = "", start = 0] = JSON.parse(Buffer.from(token, "base64url").toString()) as [
        string,
        number,
      ];
      snapshot = this.#snapshots.get(id);
      if (snapshot === undefined)
        throw new Refusal(
          410,
          "The provided continue parameter is too old to display a consistent list result.",
        );
    }
    const { items, version } = snapshot;
    // Any version ("0") comes from the server's cache, which knows no pages.
    const end =
      limit > 0 && asksVersion !== "0" ? Math.min(start + limit, items.length) : items.length;
    const metadata: Record<string, unknown> = { resourceVersion: String(version) };
    if (end < items.length) {
      if (id === "") {
        id = String(++this.#snapshotCount);
        this.#snapshots.set(id, snapshot);
      }
      metadata["continue"] = Buffer.from(JSON.stringify([id, end])).toString("base64url");
      metadata["remainingItemCount"] = items.length - end;
    } else this.#snapshots.delete(id);
    return {
      kind: `${type.kind}List`,
      apiVersion: apiVersion(type),
      metadata,
      // The items of a list do not repeat their type.
      items: items
        .slice(start, end)
        .map((item) => ({ ...item, kind: undefined, apiVersion: undefined })),
    };
  }

  #watch(asked: ApiRequest, response: ServerResponse): void {
    const { type, query } = asked;
    const from = query.get("resourceVersion") ?? "";
    const sendsInitialEvents = query.get("sendInitialEvents") === "true";
    if (sendsInitialEvents && !this.#hasWatchLists)
      throw new Refusal(
        422,
        "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch",
      );
    response.writeHead(200, { "content-type": "application/json" });
    this.#watches.open({
      type,
      selection: asked,
      response,
      fromVersion: from === "" || from === "0" || sendsInitialEvents ? undefined : Number(from),
      marksInitialEvents: sendsInitialEvents,
      sendsBookmarks: ["1", "true"].includes(query.get("allowWatchBookmarks") ?? ""),
      timeoutSeconds: Number(query.get("timeoutSeconds") ?? 1800),
    });
  }

  #create(asked: ApiRequest, object: FakeObject): FakeObject {
    const { type, namespace } = asked;
    const { generateName, ...metadata } = object.metadata;
    const name =
      object.metadata.name ?? `${String(generateName)}${this.#store.version.toString(36)}`;
    if (name === "")
      throw new Refusal(422, `${type.kind} "" is invalid: metadata.name: Required value`);
    if (metadata.resourceVersion !== undefined && metadata.resourceVersion !== "")
      throw new Refusal(500, "resourceVersion should not be set on objects to be created");
    if (this.#store.get(type, namespace, name) !== undefined)
      throw new Refusal(409, `${describe(type)} "${name}" already exists`, "AlreadyExists");
    return this.#store.put(type, {
      ...object,
      metadata: { ...metadata, name, ...(namespace !== undefined && { namespace }) },
    });
  }

  #update(asked: ApiRequest, object: FakeObject): unknown {
    const known = this.#known(asked);
    checkVersion(asked, known, object.metadata.resourceVersion);
    return this.#write(asked, known, object);
  }

  #patch(asked: ApiRequest, patch: unknown, contentType: string): unknown {
    const known = this.#known(asked);
    const before = asked.subresource === "scale" ? scaleOf(known) : known;
    let patched: FakeObject | undefined;
    try {
      patched = applyPatch(before, patch, contentType);
    } catch (error) {
      throw new Refusal(422, (error as Error).message);
    }
    if (patched === undefined)
      throw new Refusal(415, `the body of the request was in an unknown format: ${contentType}`);
    checkVersion(asked, known, patched.metadata.resourceVersion);
    return this.#write(asked, known, patched);
  }

  /** The part of `known` that the request is about becomes that of `object`. */
  #write(asked: ApiRequest, known: FakeObject, object: FakeObject): unknown {
    const { type, subresource } = asked;
    switch (subresource) {
      case "scale": {
        const { replicas } = object["spec"] as { readonly replicas?: number };
        const spec = { ...(known["spec"] as object), replicas: replicas ?? 0 };
        return scaleOf(this.#store.put(type, { ...known, spec }));
      }
      case "status":
        return this.#store.put(type, { ...known, status: object["status"] });
      default: {
        // The status has its own way in; a write of the whole object leaves it alone.
        const { status, ...rest } = object;
        const kept =
          "status" in known ? { status: known["status"] } : type.hasStatus ? {} : { status };
        const { name, namespace } = known.metadata;
        const written = this.#store.put(type, {
          ...rest,
          ...kept,
          metadata: { ...object.metadata, name, ...(namespace !== undefined && { namespace }) },
        });
        if (written.metadata.deletionTimestamp !== undefined && !hasFinalizers(written))
          this.#store.remove(type, written.metadata.namespace, written.metadata.name);
        return written;
      }
    }
  }

  #delete(asked: ApiRequest, options: DeleteOptions): unknown {
    const known = this.#known(asked);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid !== undefined && uid !== known.metadata.uid)
      throw new Refusal(
        409,
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${known.metadata.uid}`,
      );
    checkVersion(asked, known, resourceVersion);
    const { type } = asked;
    if (hasFinalizers(known))
      return this.#store.put(type, {
        ...known,
        metadata: {
          ...known.metadata,
          deletionTimestamp: new Date().toISOString().replace(/\.\d+/, ""),
        },
      });
    this.#store.remove(type, known.metadata.namespace, known.metadata.name);
    if (options.propagationPolicy !== "Orphan") this.#deleteOwned(known);
    return {
      kind: "Status",
      apiVersion: "v1",
      status: "Success",
      details: { name: known.metadata.name, uid: known.metadata.uid },
    };
  }

  /** The garbage collector: what the object owns goes with it. */
  #deleteOwned(owner: FakeObject): void {
    for (const type of this.#types)
      for (const object of this.#store.list(type, {
        namespace: owner.metadata.namespace,
        labelSelector: "",
        fieldSelector: "",
      }))
        if (
          object.metadata.ownerReferences?.some((one) => one.uid === owner.metadata.uid) === true
        ) {
          this.#store.remove(type, object.metadata.namespace, object.metadata.name);
          this.#deleteOwned(object);
        }
  }
}

interface DeleteOptions {
  readonly propagationPolicy?: string;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

function checkVersion(asked: ApiRequest, known: FakeObject, version: string | undefined): void {
  if (version === undefined || version === "" || version === known.metadata.resourceVersion) return;
  throw new Refusal(
    409,
    `Operation cannot be fulfilled on ${describe(asked.type)} "${known.metadata.name}": the object has been modified; please apply your changes to the latest version and try again`,
  );
}

function hasFinalizers(object: FakeObject): boolean {
  return (object.metadata.finalizers?.length ?? 0) > 0;
}

function scaleOf(object: FakeObject): FakeObject {
  const { name, namespace, uid, resourceVersion } = object.metadata;
  const spec = (object["spec"] ?? {}) as {
    replicas?: number;
    selector?: { matchLabels?: Record<string, string> };
  };
  const status = (object["status"] ?? {}) as { replicas?: number };
  return {
    kind: "Scale",
    apiVersion: "autoscaling/v1",
    metadata: {
      name,
      ...(namespace !== undefined && { namespace }),
      uid: uid!,
      resourceVersion: resourceVersion!,
    },
    spec: { replicas: spec.replicas ?? 1 },
    status: {
      replicas: status.replicas ?? 0,
      selector: Object.entries(spec.selector?.matchLabels ?? {})
        .map(([label, value]) => `${label}=${value}`)
        .join(","),
    },
  };
}

function apiVersion(type: FakeType): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}

function describe(type: FakeType): string {
  return type.group === "" ? type.plural : `${type.plural}.${type.group}`;
}
