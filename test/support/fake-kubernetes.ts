/**
 * A Kubernetes API server for tests: any resource type, versions, paged lists, watches with bookmarks, selectors, patches,
 * subresources, 409 and 410 as the real one answers them. It records every access (`accesses`), can enforce the roles it
 * holds, and fails on demand. Over HTTPS it speaks HTTP/2 like the real one.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { FakeApi } from "./fake-kubernetes-api.ts";
import { Refusal, sendJson } from "./fake-kubernetes-refusal.ts";
import { parseRequest, type ApiRequest } from "./fake-kubernetes-request.ts";
import { isAllowed, type FakeAccess } from "./fake-kubernetes-rbac.ts";
import { StatefulSetController, type StatefulSetOptions } from "./fake-kubernetes-stateful-sets.ts";
import { FakeStore, type FakeObject, type FakeType } from "./fake-kubernetes-store.ts";
import { FAKE_TYPES, fakeType } from "./fake-kubernetes-types.ts";
import { FakeWatches } from "./fake-kubernetes-watches.ts";

export interface FakeKubernetesOptions {
  /** PEM; over HTTPS when given. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCa?: string };
  /** User by bearer token. Default: everybody is `admin`. */
  readonly tokens?: Readonly<Record<string, string>>;
  /** Users other than `admin` may do only what roles and bindings in the store grant. Default false. */
  readonly enforcesRoles?: boolean;
  /** Types beyond the built-in ones: custom resources. */
  readonly types?: readonly FakeType[];
  /** Makes pods and volume claims for StatefulSets. Default: nobody does. */
  readonly statefulSets?: StatefulSetOptions;
  /** Milliseconds between bookmarks. Default: only when a watch ends, and by `sendBookmarks`. */
  readonly bookmarkIntervalMs?: number;
  /** Default `v1.33.1`. Those before 1.32 do not send lists as the first events of a watch. */
  readonly version?: string;
}

const DEFAULT_VERSION = "v1.33.1";

/** What happens to requests that `matches` accepts, the next `times` of them (default 1). */
export interface Fault {
  readonly matches?: (access: FakeAccess) => boolean;
  readonly times?: number;
  readonly action:
    | { readonly status: number; readonly reason?: string; readonly retryAfterSeconds?: number }
    /** Never answers. */
    | "hang"
    /** Closes the connection without an answer. */
    | "cut";
}

type Request = IncomingMessage;
type Response = ServerResponse;

export class FakeKubernetes {
  readonly store = new FakeStore();
  /** Every request that named a resource, in order. */
  readonly accesses: FakeAccess[] = [];
  readonly #options: FakeKubernetesOptions;
  readonly #types: readonly FakeType[];
  readonly #server: Server | Http2SecureServer;
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #watches: FakeWatches;
  readonly #statefulSets: StatefulSetController | undefined;
  readonly #api: FakeApi;
  #faults: { fault: Fault; left: number }[] = [];

  private constructor(options: FakeKubernetesOptions) {
    this.#options = options;
    this.#types = [...FAKE_TYPES, ...(options.types ?? [])];
    this.#watches = new FakeWatches(this.store, options.bookmarkIntervalMs);
    this.#api = new FakeApi({
      hasWatchLists: Number((options.version ?? DEFAULT_VERSION).split(".")[1]) >= 32,
      store: this.store,
      watches: this.#watches,
      types: this.#types,
    });
    const handle = (request: Request, response: Response): void =>
      void this.#handle(request, response).catch((error: unknown) =>
        response.destroy(error as Error),
      );
    const { tls } = options;
    if (tls === undefined) this.#server = createServer(handle);
    else {
      const server = createSecureServer({
        cert: tls.cert,
        key: tls.key,
        allowHTTP1: true,
        ...(tls.clientCa !== undefined && { ca: tls.clientCa, requestCert: true }),
      });
      // The compatibility API of HTTP/2 has the same methods; only its types are others.
      server.on("request", handle as never);
      server.on("session", (session) => {
        this.#sessions.add(session);
        session.on("close", () => this.#sessions.delete(session));
      });
      this.#server = server;
    }
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
    });
    if (options.statefulSets !== undefined)
      this.#statefulSets = new StatefulSetController(this.store, options.statefulSets);
  }

  static async start(options: FakeKubernetesOptions = {}): Promise<FakeKubernetes> {
    const fake = new FakeKubernetes(options);
    fake.#server.listen(0, "127.0.0.1");
    await once(fake.#server, "listening");
    return fake;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `${this.#options.tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    this.#statefulSets?.stop();
    this.#watches.stop();
    this.cutConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** The type of this plural, e.g. `pods`, `statefulsets`, or `servicemonitors.monitoring.coreos.com`. */
  type(name: string): FakeType {
    return fakeType(this.#types, name);
  }

  /** Writes an object as the server would: `put("pods", {metadata: {…}, spec: {…}})`, status included. */
  put(typeName: string, object: Omit<FakeObject, "apiVersion" | "kind">): FakeObject {
    return this.store.put(this.type(typeName), object as FakeObject);
  }

  get(typeName: string, name: string, namespace?: string): FakeObject | undefined {
    return this.store.get(this.type(typeName), namespace, name);
  }

  list(typeName: string, namespace?: string): FakeObject[] {
    return this.store.list(this.type(typeName), {
      namespace,
      labelSelector: "",
      fieldSelector: "",
    });
  }

  remove(typeName: string, name: string, namespace?: string): void {
    this.store.remove(this.type(typeName), namespace, name);
  }

  fail(fault: Fault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  healFaults(): void {
    this.#faults = [];
  }

  /** Ends all watches: in the middle, as when a connection breaks, or in order. */
  dropWatches(how: "cut" | "end" = "cut"): void {
    this.#watches.drop(how);
  }

  /** Ends all watches with an error event. */
  breakWatches(status: { code: number; reason: string; message: string }): void {
    this.#watches.fail({ kind: "Status", apiVersion: "v1", status: "Failure", ...status });
  }

  /** Resolves once at least `count` watches are open. */
  async watching(count: number): Promise<void> {
    await this.#watches.opened(count);
  }

  cutConnections(): void {
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Forgets the history: every version known to a client so far is too old for a watch (410), and so is every page. */
  compact(): void {
    this.store.compact();
    this.#api.forgetPages();
  }

  sendBookmarks(): void {
    this.#watches.sendBookmarks();
  }

  get watchCount(): number {
    return this.#watches.count;
  }

  async #handle(request: Request, response: Response): Promise<void> {
    const url = new URL(request.url ?? "/", "http://fake");
    try {
      if (url.pathname === "/version") {
        sendJson(response, 200, { gitVersion: this.#options.version ?? DEFAULT_VERSION });
        return;
      }
      const asked = parseRequest(this.#types, request.method ?? "GET", url);
      if (asked === undefined)
        throw new Refusal(404, "the server could not find the requested resource");
      if (asked === "types") {
        sendJson(response, 200, {
          kind: "APIResourceList",
          apiVersion: "v1",
          resources: this.#resourceList(url),
        });
        return;
      }
      const access = this.#access(asked, request);
      this.accesses.push(access);
      if (this.#fail(access, response)) return;
      this.#authorize(access);
      const body = await readBody(request);
      this.#api.serve(asked, { request, response, body });
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      sendJson(response, error.status, error.body());
    }
  }

  #resourceList(url: URL): unknown[] {
    const [, , group, version] = url.pathname.startsWith("/apis/")
      ? url.pathname.split("/")
      : ["", "", "", "v1"];
    return this.#types
      .filter((type) => type.group === group && type.version === version)
      .map((type) => ({
        name: type.plural,
        kind: type.kind,
        namespaced: type.isNamespaced,
        verbs: ["create", "delete", "get", "list", "patch", "update", "watch"],
      }));
  }

  #access(asked: ApiRequest, request: Request): FakeAccess {
    const { tokens } = this.#options;
    const token = /^Bearer (.*)$/.exec(request.headers.authorization ?? "")?.[1];
    return {
      user: tokens === undefined ? "admin" : (tokens[token ?? ""] ?? ""),
      verb: asked.verb,
      group: asked.type.group,
      resource: asked.type.plural + (asked.subresource === "" ? "" : `/${asked.subresource}`),
      namespace: asked.namespace,
      name: asked.name,
    };
  }

  #fail(access: FakeAccess, response: Response): boolean {
    const found = this.#faults.find(({ fault }) => fault.matches?.(access) ?? true);
    if (found === undefined) return false;
    if (--found.left === 0) this.#faults = this.#faults.filter((one) => one !== found);
    const { action } = found.fault;
    if (action === "hang") return true;
    if (action === "cut") {
      response.destroy();
      return true;
    }
    const { status, reason, retryAfterSeconds } = action;
    if (retryAfterSeconds !== undefined)
      response.setHeader("retry-after", String(retryAfterSeconds));
    sendJson(response, status, new Refusal(status, "injected by the test", reason).body());
    return true;
  }

  #authorize(access: FakeAccess): void {
    const { user, verb, resource, group, namespace } = access;
    if (user === "") throw new Refusal(401, "Unauthorized");
    if (this.#options.enforcesRoles !== true || user === "admin") return;
    const roles = {
      roles: this.list("roles"),
      clusterRoles: this.list("clusterroles"),
      roleBindings: this.list("rolebindings"),
      clusterRoleBindings: this.list("clusterrolebindings"),
    };
    if (isAllowed(roles, access)) return;
    const where =
      namespace === undefined ? "at the cluster scope" : `in the namespace "${namespace}"`;
    throw new Refusal(
      403,
      `${resource} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`,
    );
  }
}

async function readBody(request: Request): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString();
  return text === "" ? undefined : JSON.parse(text);
}
