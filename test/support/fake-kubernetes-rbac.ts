/** Role-based access control over the roles and bindings that the fake server holds. */
import type { FakeObject } from "./fake-kubernetes-store.ts";

/** One question to the authoriser, as RBAC sees it. */
export interface FakeAccess {
  /** "" where nobody is authenticated. */
  readonly user: string;
  readonly verb: string;
  readonly group: string;
  /** With the subresource behind a slash. */
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

export interface FakeRule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs?: readonly string[];
}

/** Whether one of `rules` grants `access`, wherever the rules hold. */
export function grants(rules: readonly FakeRule[], access: FakeAccess): boolean {
  const has = (list: readonly string[] | undefined, wanted: string): boolean =>
    list !== undefined && (list.includes("*") || list.includes(wanted));
  return rules.some(
    (rule) =>
      has(rule.apiGroups, access.group) &&
      has(rule.resources, access.resource) &&
      has(rule.verbs, access.verb) &&
      (rule.resourceNames === undefined ||
        rule.resourceNames.length === 0 ||
        (access.name !== undefined && rule.resourceNames.includes(access.name))),
  );
}

export interface RbacObjects {
  readonly roles: readonly FakeObject[];
  readonly clusterRoles: readonly FakeObject[];
  readonly roleBindings: readonly FakeObject[];
  readonly clusterRoleBindings: readonly FakeObject[];
}

/** Whether the roles bound to the user grant `access`. */
export function isAllowed(objects: RbacObjects, access: FakeAccess): boolean {
  for (const binding of objects.clusterRoleBindings)
    if (binds(binding, access.user) && grants(rulesOf(objects, binding), access)) return true;
  if (access.namespace === undefined) return false;
  return objects.roleBindings.some(
    (binding) =>
      binding.metadata.namespace === access.namespace &&
      binds(binding, access.user) &&
      grants(rulesOf(objects, binding), access),
  );
}

interface Subject {
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string;
}

function binds(binding: FakeObject, user: string): boolean {
  const subjects = (binding["subjects"] ?? []) as readonly Subject[];
  return subjects.some((subject) =>
    subject.kind === "ServiceAccount"
      ? user ===
        `system:serviceaccount:${subject.namespace ?? binding.metadata.namespace}:${subject.name}`
      : subject.kind === "User" && user === subject.name,
  );
}

function rulesOf(objects: RbacObjects, binding: FakeObject): readonly FakeRule[] {
  const { kind, name } = binding["roleRef"] as { readonly kind: string; readonly name: string };
  const role =
    kind === "ClusterRole"
      ? objects.clusterRoles.find((one) => one.metadata.name === name)
      : objects.roles.find(
          (one) =>
            one.metadata.name === name && one.metadata.namespace === binding.metadata.namespace,
        );
  return (role?.["rules"] ?? []) as readonly FakeRule[];
}
