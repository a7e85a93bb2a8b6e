/** The watches that a fake API server serves: JSON lines, bookmarks, time-outs, and 410 for versions that are forgotten. */
import type { ServerResponse } from "node:http";
import type { FakeSelection, FakeStore, FakeType } from "./fake-kubernetes-store.ts";

interface WatchRequest {
  readonly type: FakeType;
  readonly selection: FakeSelection;
  readonly response: ServerResponse;
  /** Undefined: everything that is there comes first. */
  readonly fromVersion: number | undefined;
  /** A bookmark says where the first events end. */
  readonly marksInitialEvents: boolean;
  readonly sendsBookmarks: boolean;
  readonly timeoutSeconds: number;
}

interface Watch {
  bookmark(): void;
  fail(status: unknown): void;
  end(how: "cut" | "end"): void;
}

export class FakeWatches {
  readonly #store: FakeStore;
  readonly #bookmarkIntervalMs: number | undefined;
  readonly #open = new Set<Watch>();
  #opened = Promise.withResolvers<void>();

  constructor(store: FakeStore, bookmarkIntervalMs: number | undefined) {
    this.#store = store;
    this.#bookmarkIntervalMs = bookmarkIntervalMs;
  }

  get count(): number {
    return this.#open.size;
  }

  open(request: WatchRequest): void {
    const { type, selection, response, fromVersion, sendsBookmarks } = request;
    const store = this.#store;
    const send = (event: unknown): void => void response.write(`${JSON.stringify(event)}\n`);
    if (fromVersion !== undefined && store.isCompacted(type, fromVersion)) {
      const message = `too old resource version: ${fromVersion} (${store.version})`;
      const status = {
        kind: "Status",
        apiVersion: "v1",
        metadata: {},
        status: "Failure",
        message,
        reason: "Expired",
        code: 410,
      };
      send({ type: "ERROR", object: status });
      response.end();
      return;
    }
    // The head goes out at once, though nothing has happened yet.
    response.flushHeaders();
    if (fromVersion === undefined)
      for (const object of store.list(type, selection)) send({ type: "ADDED", object });
    else for (const event of store.since(type, fromVersion, selection)) send(event);
    const unfollow = store.follow(type, selection, send);
    const bookmark = (annotations?: Record<string, string>): void => {
      if (!sendsBookmarks) return;
      const apiVersion = type.group === "" ? type.version : `${type.group}/${type.version}`;
      const metadata = {
        resourceVersion: String(store.version),
        creationTimestamp: null,
        annotations,
      };
      send({ type: "BOOKMARK", object: { kind: type.kind, apiVersion, metadata } });
    };
    if (request.marksInitialEvents) bookmark({ "k8s.io/initial-events-end": "true" });
    const release = (): void => {
      unfollow();
      clearTimeout(timeout);
      clearInterval(interval);
      this.#open.delete(watch);
    };
    const watch: Watch = {
      bookmark: () => bookmark(),
      fail: (status) => {
        send({ type: "ERROR", object: status });
        watch.end("end");
      },
      end: (how) => {
        release();
        if (how === "cut") response.destroy();
        else response.end();
      },
    };
    const timeout = setTimeout(() => {
      bookmark();
      watch.end("end");
    }, request.timeoutSeconds * 1000);
    const interval =
      this.#bookmarkIntervalMs === undefined
        ? undefined
        : setInterval(() => bookmark(), this.#bookmarkIntervalMs);
    response.on("close", release);
    this.#open.add(watch);
    this.#opened.resolve();
    this.#opened = Promise.withResolvers<void>();
  }

  /** Resolves once `count` watches are open. */
  async opened(count: number): Promise<void> {
    while (this.#open.size < count) await this.#opened.promise;
  }

  /** Ends all with an error event. */
  fail(status: unknown): void {
    for (const watch of this.#open) watch.fail(status);
  }

  sendBookmarks(): void {
    for (const watch of this.#open) watch.bookmark();
  }

  drop(how: "cut" | "end"): void {
    for (const watch of this.#open) watch.end(how);
  }

  stop(): void {
    this.drop("cut");
  }
}
