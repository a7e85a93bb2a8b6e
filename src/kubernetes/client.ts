import { systemClock, type Clock } from "../base/clock.ts";
import type { HttpClientConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import type { KubeConnection } from "./connection.ts";
import {
  apiVersionOf,
  describeType,
  resourcePath,
  type KubeObject,
  type ObjectMeta,
  type ResourceType,
} from "./resources.ts";
import { KubeTransport, type Call } from "./transport.ts";
import { readEvents, type WatchEvent } from "./watch-stream.ts";

/** Objects in one page of a list: what the API's own tools ask for. */
const LIST_PAGE_OBJECTS = 500;
const REQUEST_TIMEOUT_MS = 60_000;
/** A watch that outlives its `timeoutSeconds` by this is given up. */
const WATCH_GRACE_MS = 30_000;

export interface KubeClientOptions {
  readonly connection: KubeConnection;
  readonly createHttpClient: (config: HttpClientConfig) => HttpClient;
  readonly clock?: Clock;
  /** For one request and its answer. Default 60,000. */
  readonly requestTimeoutMs?: number;
}

/** One object. Its namespace is the connection's unless named. */
export interface ObjectName {
  readonly name: string;
  readonly namespace?: string;
}

export interface Selection {
  /** Default: all namespaces. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ListOptions extends Selection {
  /** "0": any version that the server has at hand, which ignores `limit`; default: the newest. */
  readonly resourceVersion?: string;
  /** Objects in one page. Default 500; 0: all at once. */
  readonly limit?: number;
  readonly continueToken?: string;
  readonly signal?: AbortSignal;
}

export interface ObjectList<T> {
  readonly items: readonly T[];
  /** Where a watch goes on from. */
  readonly resourceVersion: string;
  /** Set when there are more pages. */
  readonly continueToken: string | undefined;
}

export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  /** The server ends the watch after this; it is then taken up again from the last version seen. */
  readonly timeoutSeconds: number;
  readonly signal?: AbortSignal;
}

export interface WriteOptions {
  readonly namespace?: string;
  readonly signal?: AbortSignal;
}

export interface Scale extends KubeObject {
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly replicas: number; readonly selector?: string };
}

/**
 * Speaks to one API server. Every method rejects with `KubeError` when the server says no, with another `AppError` when it
 * cannot be reached. A server that is too busy (429, or 503 with Retry-After) is asked again after the time it names.
 */
export class KubeClient {
  readonly connection: KubeConnection;
  readonly #clock: Clock;
  readonly #transport: KubeTransport;

  constructor(options: KubeClientOptions) {
    this.connection = options.connection;
    this.#clock = options.clock ?? systemClock;
    this.#transport = new KubeTransport({
      ...options,
      clock: this.#clock,
      requestTimeoutMs: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    });
  }

  async get<T extends KubeObject>(
    type: ResourceType,
    target: ObjectName,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<T> {
    return this.#transport.json<T>(
      this.#on(type, target, { verb: "get", method: "GET", ...options }),
    );
  }

  /** One page. */
  async list<T extends KubeObject>(
    type: ResourceType,
    options: ListOptions = {},
  ): Promise<ObjectList<T>> {
    const { namespace, limit = LIST_PAGE_OBJECTS, continueToken } = options;
    const found = await this.#transport.json<{
      readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
      readonly items?: readonly T[] | null;
    }>({
      verb: "list",
      method: "GET",
      resource: describeType(type),
      namespace,
      path: resourcePath(type, namespace === undefined ? {} : { namespace }),
      query: {
        ...selectionQuery(options),
        limit: limit === 0 ? undefined : String(limit),
        continue: continueToken,
        // A continue token carries its version; the API refuses both.
        resourceVersion: continueToken === undefined ? options.resourceVersion : undefined,
      },
      signal: options.signal,
    });
    const more = found.metadata?.continue;
    return {
      items: found.items ?? [],
      resourceVersion: found.metadata?.resourceVersion ?? "",
      continueToken: more === "" ? undefined : more,
    };
  }

  /** All objects, page by page; every page has the version of the whole list. */
  async *pages<T extends KubeObject>(
    type: ResourceType,
    options: Omit<ListOptions, "continueToken"> = {},
  ): AsyncGenerator<ObjectList<T>> {
    let page = await this.list<T>(type, options);
    yield page;
    while (page.continueToken !== undefined) {
      page = await this.list<T>(type, { ...options, continueToken: page.continueToken });
      yield page;
    }
  }

  /**
   * Resolves once the server has accepted the watch. The iteration brings the changes since `resourceVersion`; it ends when
   * the server ends the stream, and throws when the connection breaks. A version that the server no longer knows is a
   * `KubeError` with `isGone`, from here or from the iteration.
   */
  async watch<T extends KubeObject>(
    type: ResourceType,
    options: WatchOptions,
  ): Promise<AsyncIterableIterator<WatchEvent<T>>> {
    const { namespace, signal, timeoutSeconds } = options;
    const silence = new AbortController();
    const call: Call = {
      verb: "watch",
      method: "GET",
      resource: describeType(type),
      namespace,
      path: resourcePath(type, namespace === undefined ? {} : { namespace }),
      query: {
        ...selectionQuery(options),
        watch: "true",
        allowWatchBookmarks: "true",
        resourceVersion: options.resourceVersion,
        timeoutSeconds: String(timeoutSeconds),
      },
      signal: signal === undefined ? silence.signal : AbortSignal.any([signal, silence.signal]),
      timeoutMs: timeoutSeconds * 1000 + WATCH_GRACE_MS,
    };
    const { body } = await this.#transport.send(call);
    return readEvents<T>(body, { asked: call, clock: this.#clock, silence });
  }

  async create<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: WriteOptions = {},
  ): Promise<T> {
    const namespace = this.#namespace(type, object.metadata.namespace ?? options.namespace);
    return this.#transport.json<T>({
      verb: "create",
      method: "POST",
      resource: describeType(type),
      namespace,
      name: object.metadata.name,
      path: resourcePath(type, namespace === undefined ? {} : { namespace }),
      body: this.#whole(type, object, namespace),
      signal: options.signal,
    });
  }

  /**
   * Writes the whole object. With `metadata.resourceVersion` as read, a change by someone else meanwhile is refused
   * (`isConflict`).
   */
  async replace<T extends KubeObject>(
    type: ResourceType,
    object: T,
    options: WriteOptions & { readonly subresource?: string } = {},
  ): Promise<T> {
    const namespace = this.#namespace(type, object.metadata.namespace ?? options.namespace);
    const target = {
      name: object.metadata.name ?? "",
      ...(namespace !== undefined && { namespace }),
    };
    return this.#transport.json<T>(
      this.#on(type, target, {
        verb: "update",
        method: "PUT",
        body: this.#whole(type, object, namespace),
        ...options,
      }),
    );
  }

  /** Changes parts: `merge` replaces lists whole, `strategic` merges those the API has keys for (not in custom resources). */
  async patch<T extends KubeObject>(
    type: ResourceType,
    target: ObjectName,
    patch: unknown,
    options: {
      /** Default `merge`. */
      readonly strategy?: "merge" | "strategic";
      readonly subresource?: string;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<T> {
    const { strategy = "merge", ...rest } = options;
    return this.#transport.json<T>(
      this.#on(type, target, {
        verb: "patch",
        method: "PATCH",
        body: patch,
        contentType:
          strategy === "merge"
            ? "application/merge-patch+json"
            : "application/strategic-merge-patch+json",
        ...rest,
      }),
    );
  }

  async delete(
    type: ResourceType,
    target: ObjectName,
    options: {
      readonly gracePeriodSeconds?: number;
      readonly propagationPolicy?: "Foreground" | "Background" | "Orphan";
      /** Delete only this very object. */
      readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<void> {
    const { signal, ...body } = options;
    await this.#transport.json(
      this.#on(type, target, {
        verb: "delete",
        method: "DELETE",
        body: { kind: "DeleteOptions", apiVersion: "v1", ...body },
        ...(signal !== undefined && { signal }),
      }),
    );
  }

  /** The scale of a StatefulSet, a Deployment or the like. */
  async getScale(
    type: ResourceType,
    target: ObjectName,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Scale> {
    return this.#transport.json<Scale>(
      this.#on(type, target, { verb: "get", method: "GET", subresource: "scale", ...options }),
    );
  }

  /** Sets the replicas; with the `resourceVersion` of the scale as read, a change meanwhile is refused (`isConflict`). */
  async replaceScale(
    type: ResourceType,
    target: ObjectName,
    scale: { readonly replicas: number; readonly resourceVersion?: string },
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Scale> {
    const namespace = this.#namespace(type, target.namespace);
    const { replicas, resourceVersion } = scale;
    const metadata: ObjectMeta = {
      name: target.name,
      ...(namespace !== undefined && { namespace }),
      ...(resourceVersion !== undefined && { resourceVersion }),
    };
    return this.#transport.json<Scale>(
      this.#on(type, target, {
        verb: "update",
        method: "PUT",
        subresource: "scale",
        body: { apiVersion: "autoscaling/v1", kind: "Scale", metadata, spec: { replicas } },
        ...options,
      }),
    );
  }

  /** The server's version, e.g. `v1.33.1`; also the cheapest way to see that it answers. */
  async version(options: { readonly signal?: AbortSignal } = {}): Promise<string> {
    const found = await this.#transport.json<{ readonly gitVersion?: string }>({
      verb: "get",
      resource: "/version",
      method: "GET",
      path: "/version",
      ...options,
    });
    return found.gitVersion ?? "";
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    await this.#transport.close();
  }

  #namespace(type: ResourceType, named: string | undefined): string | undefined {
    return type.isNamespaced ? (named ?? this.connection.namespace) : undefined;
  }

  #on(
    type: ResourceType,
    target: ObjectName,
    rest: Pick<Call, "verb" | "method" | "body" | "contentType" | "signal"> & {
      readonly subresource?: string;
    },
  ): Call {
    const { subresource, ...call } = rest;
    const namespace = this.#namespace(type, target.namespace);
    return {
      ...call,
      resource: describeType(type) + (subresource === undefined ? "" : `/${subresource}`),
      namespace,
      name: target.name,
      path: resourcePath(type, {
        name: target.name,
        ...(namespace !== undefined && { namespace }),
        ...(subresource !== undefined && { subresource }),
      }),
    };
  }

  #whole<T extends KubeObject>(type: ResourceType, object: T, namespace: string | undefined): T {
    return {
      ...object,
      apiVersion: object.apiVersion ?? apiVersionOf(type),
      kind: object.kind ?? type.kind,
      metadata: { ...object.metadata, ...(namespace !== undefined && { namespace }) },
    };
  }
}

function selectionQuery(selection: Selection): Record<string, string | undefined> {
  return {
    labelSelector: selection.labelSelector === "" ? undefined : selection.labelSelector,
    fieldSelector: selection.fieldSelector === "" ? undefined : selection.fieldSelector,
  };
}
