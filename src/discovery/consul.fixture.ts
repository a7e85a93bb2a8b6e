import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ServiceInstance } from "./consul-api.ts";

/** One instance as a test registers it. */
export interface FakeInstance {
  readonly service: string;
  readonly id: string;
  readonly node?: string;
  readonly nodeAddress?: string;
  readonly nodeMeta?: Readonly<Record<string, string>>;
  readonly taggedAddresses?: Readonly<Record<string, string>>;
  readonly address?: string;
  readonly port?: number;
  readonly tags?: readonly string[];
  readonly meta?: Readonly<Record<string, string>>;
  readonly namespace?: string;
  readonly partition?: string;
  readonly checks?: readonly { readonly CheckID: string; readonly Status: string }[];
}

export interface FakeRequest {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
}

/**
 * A Consul server for tests: the catalog, the health of services and the agent, with blocking queries and an index of
 * its own for every service, as the real one has. Listens on loopback.
 */
export class FakeConsul {
  /** Answers instead of the server when it gives a status. */
  refuse: (path: string) => number | undefined = () => undefined;
  /** Cuts every `wait` short. */
  maxWaitMs = Infinity;
  /** Without it answers carry no X-Consul-Index. */
  sendsIndex = true;
  readonly requests: FakeRequest[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));
  readonly #instances = new Map<string, FakeInstance>();
  /** When each service last changed. */
  readonly #changed = new Map<string, number>();
  readonly #waiting = new Set<() => void>();
  #index = 10;
  #port = 0;

  /** Listens on `port`, or on the one it had. */
  async start(port = this.#port): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, "127.0.0.1", resolve);
    });
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Closes the port and every connection; the catalog stays. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }

  /** `host:port`. */
  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  get index(): number {
    return this.#index;
  }

  register(...instances: readonly FakeInstance[]): void {
    for (const instance of instances) {
      this.#instances.set(instance.id, instance);
      this.#touch(instance.service);
    }
    this.#wake();
  }

  deregister(...ids: readonly string[]): void {
    for (const id of ids) {
      const instance = this.#instances.get(id);
      if (instance === undefined) continue;
      this.#instances.delete(id);
      this.#touch(instance.service);
    }
    this.#wake();
  }

  /** Another server with the same catalog, whose indexes begin anew; questions under way are cut off. */
  restart(): void {
    this.#index = 1;
    for (const service of this.#changed.keys()) this.#changed.set(service, 1);
    this.disconnect();
  }

  /** Cuts off all questions under way. */
  disconnect(): void {
    this.#server.closeAllConnections();
  }

  #touch(service: string): void {
    this.#changed.set(service, ++this.#index);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://consul");
    const { pathname: path, searchParams: query } = url;
    this.requests.push({ path, query, headers: request.headers });
    const refused = this.refuse(path);
    if (refused !== undefined) {
      response.statusCode = refused;
      response.end("no cluster leader");
      return;
    }
    const [, api, kind, what, ...name] = path.replace(/^\/prefix/, "").split("/");
    const question = `${api}/${kind}/${what}`;
    if (question === "v1/agent/self")
      return send(response, { Config: { Datacenter: "dc-of-agent" } });
    const service = decodeURIComponent(name.join("/"));
    const answers: Record<string, [index: () => number, value: () => unknown]> = {
      "v1/catalog/services": [() => this.#index, () => this.#services()],
      "v1/health/service": [
        () => this.#changed.get(service) ?? 1,
        () => this.#health(service, query),
      ],
    };
    const found = answers[question];
    if (found === undefined) {
      response.statusCode = 404;
      response.end();
      return;
    }
    const [index, value] = found;
    this.#whenChanged(query, response, index, () => {
      if (this.sendsIndex) response.setHeader("x-consul-index", String(index()));
      send(response, value());
    });
  }

  /** Runs `answer` once `index()` is beyond the asked one, or the wait is over. */
  #whenChanged(
    query: URLSearchParams,
    response: ServerResponse,
    index: () => number,
    answer: () => void,
  ): void {
    const known = Number(query.get("index") ?? 0);
    if (known === 0 || index() > known) return answer();
    const waitMs = Math.min(Number.parseInt(query.get("wait") ?? "300000", 10), this.maxWaitMs);
    const end = (): void => {
      clearTimeout(timer);
      this.#waiting.delete(look);
    };
    const look = (): void => {
      if (index() <= known) return;
      end();
      answer();
    };
    const timer = setTimeout(() => {
      end();
      answer();
    }, waitMs);
    this.#waiting.add(look);
    response.once("close", end);
  }

  #services(): Record<string, string[]> {
    const services: Record<string, string[]> = {};
    for (const { service, tags = [] } of this.#instances.values())
      services[service] = [...new Set([...(services[service] ?? []), ...tags])];
    return services;
  }

  #health(service: string, query: URLSearchParams): ServiceInstance[] {
    const tags = query.getAll("tag");
    return [...this.#instances.values()]
      .filter((one) => one.service === service)
      .filter((one) => tags.every((tag) => one.tags?.includes(tag)))
      .map((one) => ({
        Node: {
          Node: one.node ?? "node-1",
          Address: one.nodeAddress ?? "127.0.0.9",
          Meta: one.nodeMeta ?? null,
          TaggedAddresses: one.taggedAddresses ?? null,
        },
        Service: {
          ID: one.id,
          Service: service,
          Address: one.address ?? "",
          Port: one.port ?? 0,
          Tags: one.tags ?? null,
          Meta: one.meta ?? null,
          ...(one.namespace !== undefined && { Namespace: one.namespace }),
          ...(one.partition !== undefined && { Partition: one.partition }),
        },
        Checks: [...(one.checks ?? [])],
      }));
  }
}

function send(response: ServerResponse, value: unknown): void {
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(value));
}
