import { AppError, messageOf } from "../base/errors.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { isKubeStatus, KubeError } from "../kubernetes/kube-error.ts";
import { CONFIG_MAPS, SECRETS, type KubeObject } from "../kubernetes/resources.ts";
import type { Lookup, Reference } from "./translation.ts";

/** A Secret or ConfigMap as last read. The same contents are the same object. */
export type Contents =
  | { readonly kind: "read"; readonly data: ReadonlyMap<string, string> }
  /** A definite answer: it is not there, or may not be read. */
  | { readonly kind: "refused"; readonly reason: string }
  /** It has never been read, because the API did not answer. */
  | { readonly kind: "unknown"; readonly reason: string };

/** What one translation has looked up. */
export interface LookupUse {
  readonly lookup: Lookup;
  /** By object; undefined for those that have to be read first. */
  readonly used: ReadonlyMap<string, Contents | undefined>;
}

interface RawData extends KubeObject {
  readonly data?: Readonly<Record<string, string>> | null;
}

/**
 * The Secrets and ConfigMaps that custom resources name, each read by a `get` of its own, so that nothing but those has to
 * be granted. What was read once stands while the API does not answer.
 */
export class References {
  readonly #client: Pick<KubeClient, "get">;
  #contents = new Map<string, Contents>();

  constructor(client: Pick<KubeClient, "get">) {
    this.#client = client;
  }

  /** For one translation: values that are not read yet are "" in it, and it must be done again once they are. */
  startUse(): LookupUse {
    const used = new Map<string, Contents | undefined>();
    const lookup = (reference: Reference): string => {
      const { kind, namespace, name, key } = reference;
      const object = `${kind} ${namespace}/${name}`;
      const contents = this.#contents.get(object);
      used.set(object, contents);
      if (contents === undefined || contents.kind === "unknown") return "";
      if (contents.kind === "refused") throw new AppError("bad-data", contents.reason);
      const value = contents.data.get(key);
      if (value === undefined)
        throw new AppError("bad-data", `${object} has no key ${JSON.stringify(key)}`);
      return value;
    };
    return { lookup, used };
  }

  /** Whether the contents are still those that a translation has seen. */
  areCurrent(used: LookupUse["used"]): boolean {
    for (const [object, contents] of used)
      if (contents === undefined || this.#contents.get(object) !== contents) return false;
    return true;
  }

  /** Reads these objects; never rejects. Answers whether any of them says something new. */
  async read(objects: Iterable<string>, signal: AbortSignal): Promise<boolean> {
    let isNews = false;
    let silence: Contents | undefined;
    for (const object of objects) {
      if (signal.aborted) break;
      const before = this.#contents.get(object);
      // A server that does not answer once is not asked for the rest, one time-out after the other.
      const { contents: after, isSilent } =
        silence === undefined
          ? await this.#get(object, signal)
          : { contents: silence, isSilent: true };
      if (isSilent) silence = after;
      // An outage says nothing about what was read before it.
      if (after.kind === "unknown" && before !== undefined && before.kind !== "unknown") continue;
      if (before !== undefined && isSame(before, after)) continue;
      this.#contents.set(object, after);
      isNews = true;
    }
    return isNews;
  }

  /** Reads all of them again. */
  refresh(signal: AbortSignal): Promise<boolean> {
    return this.read([...this.#contents.keys()], signal);
  }

  /** Forgets what nobody uses. */
  retain(objects: ReadonlySet<string>): void {
    for (const object of this.#contents.keys())
      if (!objects.has(object)) this.#contents.delete(object);
  }

  async #get(
    object: string,
    signal: AbortSignal,
  ): Promise<{ readonly contents: Contents; readonly isSilent: boolean }> {
    const [, kind, namespace, name] = /^(\S+) ([^/]*)\/(.*)$/.exec(object)!;
    const isSecret = kind === "Secret";
    const type = isSecret ? SECRETS : CONFIG_MAPS;
    try {
      const target = { namespace: namespace!, name: name! };
      const { data } = await this.#client.get<RawData>(type, target, { signal });
      const texts = Object.entries(data ?? {}).map(([key, value]): [string, string] => [
        key,
        isSecret ? Buffer.from(value, "base64").toString("utf8") : value,
      ]);
      return { contents: { kind: "read", data: new Map(texts) }, isSilent: false };
    } catch (error) {
      const isDefinite = isKubeStatus(error, 404) || isKubeStatus(error, 403);
      const kind = isDefinite ? "refused" : "unknown";
      return {
        contents: { kind, reason: messageOf(error) },
        isSilent: !(error instanceof KubeError),
      };
    }
  }
}

function isSame(before: Contents, after: Contents): boolean {
  if (before.kind !== "read" || after.kind !== "read")
    return before.kind === after.kind && before.kind !== "read";
  if (before.data.size !== after.data.size) return false;
  for (const [key, value] of after.data) if (before.data.get(key) !== value) return false;
  return true;
}
