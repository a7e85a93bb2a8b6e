import type { Fields } from "../kubernetes/fields.ts";

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"] as const;

export interface Requirement {
  readonly key: string;
  readonly operator: (typeof OPERATORS)[number];
  readonly values: readonly string[];
}

/** Kubernetes's selector of objects by their labels. An empty one selects all. */
export interface LabelSelector {
  /** In order of name. */
  readonly labels: readonly (readonly [name: string, value: string])[];
  readonly expressions: readonly Requirement[];
}

/** Reads a selector; throws `bad-data` for one that the API would not accept. */
export function readSelector(fields: Fields): LabelSelector {
  const labels = Object.entries(fields.textMap("matchLabels") ?? {});
  const expressions = fields.children("matchExpressions").map((one): Requirement => {
    const key = one.text("key");
    const operator = OPERATORS.find((known) => known === one.text("operator"));
    const values = one.texts("values");
    if (key === "") throw one.problem("has no key");
    if (operator === undefined)
      throw one.problem(`has an operator that is none of ${OPERATORS.join(", ")}`);
    const needsValues = operator === "In" || operator === "NotIn";
    if (needsValues && values.length === 0) throw one.problem(`has no values for ${operator}`);
    if (!needsValues && values.length > 0)
      throw one.problem(`has values, which ${operator} has not`);
    return { key, operator, values };
  });
  return { labels: labels.sort(([a], [b]) => (a < b ? -1 : 1)), expressions };
}

export function isEmptySelector({ labels, expressions }: LabelSelector): boolean {
  return labels.length === 0 && expressions.length === 0;
}

export function matchesSelector(
  { labels, expressions }: LabelSelector,
  of: Readonly<Record<string, string>>,
): boolean {
  const valueOf = (key: string): string | undefined =>
    Object.hasOwn(of, key) ? of[key] : undefined;
  return (
    labels.every(([key, value]) => valueOf(key) === value) &&
    expressions.every(({ key, operator, values }) => {
      const value = valueOf(key);
      const isOneOf = value !== undefined && values.includes(value);
      switch (operator) {
        case "In":
          return isOneOf;
        case "NotIn":
          return !isOneOf;
        case "Exists":
          return value !== undefined;
        case "DoesNotExist":
          return value === undefined;
      }
    })
  );
}

/** As in a `labelSelector` of the API. */
export function selectorText({ labels, expressions }: LabelSelector): string {
  const terms = labels.map(([key, value]) => ({ key, text: `${key}=${value}` }));
  for (const { key, operator, values } of expressions) {
    const list = `(${values.toSorted().join(",")})`;
    const texts = {
      In: `${key} in ${list}`,
      NotIn: `${key} notin ${list}`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    terms.push({ key, text: texts[operator] });
  }
  return terms
    .toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0))
    .map(({ text }) => text)
    .join(",");
}
