import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../../base/clock.ts";
import type { Logger } from "../../base/logger.ts";
import type { Registry } from "../../base/metrics.ts";
import { systemRandom } from "../../base/random.ts";
import type { HttpClientConfig, KubernetesDiscovery } from "../../config/types.ts";
import type { HttpClient } from "../../http/client.ts";
import { KubeClient } from "../../kubernetes/client.ts";
import {
  inClusterConnection,
  type Environment,
  type KubeConnection,
} from "../../kubernetes/connection.ts";
import { kubeconfigConnection } from "../../kubernetes/kubeconfig.ts";
import { ListWatch } from "../../kubernetes/list-watch.ts";
import type { KubeObject } from "../../kubernetes/resources.ts";
import { identity } from "../identity.ts";
import { KINDS, type Kind, type Kinds } from "./kinds.ts";
import { MetaLabels } from "./meta-labels.ts";

/** Which API server, and as whom. */
export type Access = Pick<KubernetesDiscovery, "apiServer" | "kubeconfigFile" | "httpClient">;

export interface WatchRequest<K extends Kind> {
  readonly access: Access;
  readonly kind: K;
  /** Undefined: all. */
  readonly namespace: string | undefined;
  readonly label: string;
  readonly field: string;
}

/** A use of a shared watch. */
export interface Watching<K extends Kind> {
  readonly objects: ListWatch<Kinds[K]>;
  /** Ends this use; the last one ends the watch. */
  release(): void;
}

interface Shared {
  readonly objects: ListWatch<Kinds[Kind]>;
  readonly stopping: AbortController;
  users: number;
}

/** One API server as seen by one set of credentials. */
interface Server {
  /** Made when it is first needed; undefined when that has failed, so that the next need tries again. */
  client: Promise<KubeClient> | undefined;
  watches: number;
}

interface Options {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly environment: Environment;
  readonly createHttpClient: (config: HttpClientConfig) => HttpClient;
}

/**
 * The watches of Kubernetes objects that mechanisms use: whoever asks for the same objects of the same server in the same
 * way shares one, so that a pod watch serves the pod role of one job and the endpoints role of another.
 */
export class KubernetesWatches {
  readonly #options: Options;
  readonly #shared = new Map<string, Shared>();
  readonly #servers = new Map<string, Server>();
  readonly #meta = new MetaLabels();

  constructor(options: Options) {
    this.#options = options;
  }

  acquire<K extends Kind>(request: WatchRequest<K>): Watching<K> {
    const key = identity(request);
    let shared = this.#shared.get(key);
    if (shared === undefined) this.#shared.set(key, (shared = this.#start(request)));
    shared.users++;
    const released = shared;
    // The key says the kind, and the kind what the objects are.
    const objects: unknown = released.objects;
    return {
      objects: objects as ListWatch<Kinds[K]>,
      release: () => {
        if (--released.users > 0) return;
        this.#shared.delete(key);
        released.stopping.abort();
      },
    };
  }

  #start(request: WatchRequest<Kind>): Shared {
    const { access, kind, namespace, label, field } = request;
    const { clock, logger, registry } = this.#options;
    const { type, project } = KINDS[kind];
    const serverKey = identity(access);
    let server = this.#servers.get(serverKey);
    if (server === undefined)
      this.#servers.set(serverKey, (server = { client: undefined, watches: 0 }));
    server.watches++;
    const used = server;
    const failures = registry.counter(
      "prometheus_sd_kubernetes_failures_total",
      "The number of failed WATCH/LIST requests.",
    );
    const objects = new ListWatch<Kinds[Kind]>({
      client: () => this.#client(used, access),
      type,
      namespace,
      labelSelector: label,
      fieldSelector: field,
      project: (object: KubeObject) => project(this.#meta, object),
      // Most changes of nodes and many of pods are heart-beats.
      isSame: isDeepStrictEqual,
      onFailure: () => failures.inc(),
      clock,
      random: systemRandom,
      logger,
    });
    const stopping = new AbortController();
    // Runs until it is aborted; nothing waits for its end but the connection.
    void objects.run(stopping.signal).then(() => {
      if (--used.watches > 0) return;
      this.#servers.delete(serverKey);
      void used.client?.then((client) => client.close());
    });
    return { objects, stopping, users: 0 };
  }

  #client(server: Server, access: Access): Promise<KubeClient> {
    if (server.client !== undefined) return server.client;
    const { createHttpClient, clock } = this.#options;
    const client = this.#connection(access).then(
      (connection) => new KubeClient({ connection, createHttpClient, clock }),
    );
    server.client = client;
    client.catch(() => (server.client = undefined));
    return client;
  }

  #connection(access: Access): Promise<KubeConnection> {
    const { apiServer, kubeconfigFile, httpClient } = access;
    const { environment, clock, createHttpClient } = this.#options;
    if (kubeconfigFile !== "")
      return kubeconfigConnection(kubeconfigFile, { environment, clock, createHttpClient });
    if (apiServer === "") return inClusterConnection({ environment });
    return Promise.resolve({
      server: apiServer,
      namespace: "default",
      httpClient,
      credentials: undefined,
    });
  }
}
