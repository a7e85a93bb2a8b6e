import type { KubernetesAttachMetadata } from "../../config/types.ts";
import type { TargetGroup } from "../../model/target.ts";
import type { Kind, RoleDefinition } from "./kinds.ts";
import { Surroundings, type Find } from "./surroundings.ts";

/**
 * The groups of one role, made anew when their object changes or anything else that they were made from. Only what is
 * `touched` is made again, and only when somebody asks for it.
 */
export class Groups {
  readonly #definition: RoleDefinition<Kind>;
  readonly #attach: KubernetesAttachMetadata;
  readonly #find: Find;
  readonly #dirty = new Set<string>();
  /** The objects whose groups were made from `kind/key`. */
  readonly #dependents = new Map<string, Set<string>>();
  readonly #dependencies = new Map<string, ReadonlySet<string>>();

  constructor(
    definition: RoleDefinition<Kind>,
    options: { readonly attach: KubernetesAttachMetadata; readonly find: Find },
  ) {
    this.#definition = definition;
    this.#attach = options.attach;
    this.#find = options.find;
  }

  /** Something about this object changed. Returns whether any group has to be made again. */
  touch(kind: Kind, key: string): boolean {
    if (kind === this.#definition.kind) this.#dirty.add(key);
    for (const dependent of this.#dependents.get(`${kind}/${key}`) ?? [])
      this.#dirty.add(dependent);
    return this.#dirty.size > 0;
  }

  /** Makes up to `limit` of the groups that have to be made; those without targets are gone. */
  take(limit = Infinity): TargetGroup[] {
    const groups: TargetGroup[] = [];
    for (const key of this.#dirty) {
      if (groups.length >= limit) break;
      this.#dirty.delete(key);
      const group = this.#build(key);
      if (group !== undefined) groups.push(group);
    }
    return groups;
  }

  #build(key: string): TargetGroup | undefined {
    const { kind, prefix, build } = this.#definition;
    const source = prefix + key;
    const object = this.#find(kind, namespaceOf(key), key);
    if (object === undefined) {
      this.#depend(key, new Set());
      return { source, labels: {}, targets: [] };
    }
    const around = new Surroundings(this.#attach, this.#find);
    const group = build(source, object, around);
    this.#depend(key, around.seen);
    return group;
  }

  #depend(key: string, seen: ReadonlySet<string>): void {
    const before = this.#dependencies.get(key);
    for (const one of before ?? []) {
      if (seen.has(one)) continue;
      const others = this.#dependents.get(one);
      others?.delete(key);
      if (others?.size === 0) this.#dependents.delete(one);
    }
    for (const one of seen) {
      const others = this.#dependents.get(one);
      if (others === undefined) this.#dependents.set(one, new Set([key]));
      else others.add(key);
    }
    if (seen.size === 0) this.#dependencies.delete(key);
    else this.#dependencies.set(key, seen);
  }
}

function namespaceOf(key: string): string | undefined {
  const slash = key.indexOf("/");
  return slash === -1 ? undefined : key.slice(0, slash);
}
