import { quote } from "../base/text.ts";
import { checkHttpClient, httpClientFields, isDefaultHttpClient } from "./http-client.ts";
import { list, optional } from "./kind.ts";
import { role } from "./mechanism-fields.ts";
import { toHttpClient } from "./http-client-config.ts";
import { field, object, type Values } from "./object.ts";
import type { Where } from "./reader.ts";
import { bool, path, text, url } from "./scalars.ts";
import type { KubernetesDiscovery } from "./types.ts";

/** `kubernetes_sd_configs`. */

const ROLES = ["pod", "service", "endpoints", "endpointslice", "node", "ingress"] as const;
type Role = (typeof ROLES)[number];

const SELECTORS: Readonly<Record<Role, readonly Role[]>> = {
  pod: ["pod", "node"],
  service: ["service"],
  endpointslice: ["pod", "service", "endpointslice"],
  endpoints: ["pod", "service", "endpoints"],
  node: ["node"],
  ingress: ["ingress"],
};

const roleKind = role(ROLES, "unknown Kubernetes SD role");

const selector = object("a selector", {
  role: field(roleKind),
  label: field(text),
  field: field(text),
});

const namespaces = object("namespaces", {
  own_namespace: field(bool, { always: true }),
  names: field(list(text), { always: true }),
});

const attachMetadata = object("attach_metadata", {
  node: field(bool, { always: true }),
  namespace: field(bool, { always: true }),
  deployment: field(bool, { always: true }),
  job: field(bool, { always: true }),
  cronjob: field(bool, { always: true }),
});

export const kubernetes = object(
  "a kubernetes_sd config",
  {
    api_server: field(optional(url)),
    role: field(roleKind, { always: true }),
    kubeconfig_file: field(path, { always: true }),
    ...httpClientFields,
    namespaces: field(namespaces),
    selectors: field(list(selector)),
    attach_metadata: field(attachMetadata),
  },
  (values, at) => {
    if (values.role === "")
      at.fail(
        "role",
        "role missing (one of: pod, service, endpoints, endpointslice, node, ingress)",
      );
    const hasServer = values.api_server !== undefined;
    const hasFile = values.kubeconfig_file !== "";
    const ownNamespace = values.namespaces.own_namespace;
    if (hasServer && hasFile)
      at.fail("kubeconfig_file", "cannot use 'kubeconfig_file' and 'api_server' simultaneously");
    if (!isDefaultHttpClient(values)) {
      if (hasFile)
        at.fail(
          "kubeconfig_file",
          "cannot use a custom HTTP client configuration together with 'kubeconfig_file'",
        );
      else if (!hasServer)
        at.fail(
          undefined,
          "to use custom HTTP client configuration please provide the 'api_server' URL explicitly",
        );
    }
    for (const [set, key] of [
      [hasServer, "api_server"],
      [hasFile, "kubeconfig_file"],
    ] as const)
      if (set && ownNamespace)
        at.fail("namespaces", `cannot use '${key}' and 'namespaces.own_namespace' simultaneously`);
    checkSelectors(values.role, values.selectors, at);
    return checkHttpClient(values, at);
  },
);

export function toKubernetes(values: Values<typeof kubernetes.fields>): KubernetesDiscovery {
  const { namespaces: where } = values;
  return {
    kind: "kubernetes",
    // Checked: a file without a role is refused.
    role: values.role === "" ? "pod" : values.role,
    apiServer: values.api_server ?? "",
    kubeconfigFile: values.kubeconfig_file,
    httpClient: toHttpClient(values),
    namespaces: { ownNamespace: where.own_namespace, names: where.names },
    selectors: values.selectors,
    attachMetadata: values.attach_metadata,
  };
}

function checkSelectors(
  of: Role | "",
  selectors: readonly (typeof selector.defaults)[],
  at: Where,
): void {
  if (of === "") return;
  const seen = new Set<string>();
  for (const [index, one] of selectors.entries()) {
    const fail = (message: string): void => at.fail("selectors", message, { index });
    if (seen.has(one.role)) fail(`duplicated selector role: ${one.role}`);
    seen.add(one.role);
    if (!SELECTORS[of].some((allowed) => allowed === one.role))
      fail(`${of} role supports only ${SELECTORS[of].join(", ")} selectors`);
    const problem = fieldSelectorProblem(one.field) ?? labelSelectorProblem(one.label);
    if (problem !== undefined) fail(problem);
  }
}

/** Field selectors are `path=value`, `path==value` or `path!=value`, joined by commas; `\` escapes `\`, `,` and `=`. */
function fieldSelectorProblem(written: string): string | undefined {
  for (const term of written.split(/(?<!\\)(?:\\\\)*,/)) {
    if (term === "") continue;
    const match = /^(?:[^=!\\]|\\.|!(?!=))*(?:!=|==?)((?:[^\\]|\\.)*)$/s.exec(term);
    if (match === null) return `invalid selector: '${written}'; can't understand '${term}'`;
    if (/\\[^\\,=]/.test(match[1]!))
      return `invalid field selector: invalid escape in ${quote(term)}`;
    if (/=/.test(match[1]!.replaceAll(/\\./g, "")))
      return `invalid field selector: unescaped "=" in ${quote(term)}`;
  }
  return undefined;
}

const LABEL_KEY = String.raw`(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?`;
const LABEL_VALUE = String.raw`(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?`;
/** One requirement of a label selector: `key`, `!key`, `key=value`, `key in (a, b)`, `key > 1`, … */
const LABEL_REQUIREMENT = new RegExp(
  `^\\s*(?:!\\s*${LABEL_KEY}|${LABEL_KEY}(?:\\s*(?:==?|!=)\\s*${LABEL_VALUE}|\\s+(?:in|notin)\\s*\\(\\s*${LABEL_VALUE}\\s*(?:,\\s*${LABEL_VALUE}\\s*)*\\)|\\s*[<>]\\s*-?\\d+)?)\\s*$`,
);

function labelSelectorProblem(written: string): string | undefined {
  if (written.trim() === "") return undefined;
  // Commas inside parentheses separate values, not requirements.
  for (const requirement of written.split(/,(?![^(]*\))/))
    if (!LABEL_REQUIREMENT.test(requirement))
      return `unable to parse requirement: cannot understand ${quote(requirement)} in label selector ${quote(written)}`;
  return undefined;
}
