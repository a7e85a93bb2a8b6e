/** The paths of the API: which objects a request is about, and what RBAC calls its verb. */
import type { FakeSelection, FakeType } from "./fake-kubernetes-store.ts";

export interface ApiRequest extends FakeSelection {
  readonly verb:
    | "get"
    | "list"
    | "watch"
    | "create"
    | "update"
    | "patch"
    | "delete"
    | "deletecollection";
  readonly type: FakeType;
  readonly name: string | undefined;
  /** "" for the object itself. */
  readonly subresource: string;
  readonly query: URLSearchParams;
}

/** Undefined where the server has no such path; `types` for the list of a group's types. */
export function parseRequest(
  types: readonly FakeType[],
  method: string,
  url: URL,
): ApiRequest | "types" | undefined {
  const path = /^\/(?:api|apis\/([^/]+))\/([^/]+)(?:\/(.*))?$/.exec(url.pathname);
  if (path === null) return undefined;
  const [, group = "", version, rest = ""] = path;
  if (rest === "")
    return types.some((type) => type.group === group && type.version === version)
      ? "types"
      : undefined;
  const steps = rest.split("/").map(decodeURIComponent);
  let namespace: string | undefined;
  // `namespaces/a` is the namespace itself, `namespaces/a/pods` is what is in it.
  if (steps[0] === "namespaces" && steps.length > 2 && steps[2] !== "status")
    namespace = steps.splice(0, 2)[1];
  const [plural, name, subresource = ""] = steps;
  const type = types.find(
    (one) => one.group === group && one.version === version && one.plural === plural,
  );
  if (type === undefined || (name !== undefined && type.isNamespaced !== (namespace !== undefined)))
    return undefined;
  if (subresource !== "" && subresource !== "status" && subresource !== "scale") return undefined;
  const { searchParams: query } = url;
  const verb = verbOf(method, { name, isWatch: ["1", "true"].includes(query.get("watch") ?? "") });
  if (verb === undefined) return undefined;
  return {
    verb,
    type,
    namespace,
    name,
    subresource,
    query,
    labelSelector: query.get("labelSelector") ?? "",
    fieldSelector: query.get("fieldSelector") ?? "",
  };
}

function verbOf(
  method: string,
  on: { readonly name: string | undefined; readonly isWatch: boolean },
): ApiRequest["verb"] | undefined {
  const isOne = on.name !== undefined;
  switch (method) {
    case "GET":
      return isOne ? "get" : on.isWatch ? "watch" : "list";
    case "POST":
      return isOne ? undefined : "create";
    case "PUT":
      return isOne ? "update" : undefined;
    case "PATCH":
      return isOne ? "patch" : undefined;
    case "DELETE":
      return isOne ? "delete" : "deletecollection";
    default:
      return undefined;
  }
}
