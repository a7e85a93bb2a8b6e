/** Label and field selectors as the API server reads them. */

export function matchesLabels(selector: string, labels: Readonly<Record<string, string>>): boolean {
  // Commas inside parentheses separate values, not requirements.
  return selector
    .split(/,(?![^(]*\))/)
    .map((one) => one.trim())
    .filter((one) => one !== "")
    .every((one) => meets(one, labels));
}

function meets(requirement: string, labels: Readonly<Record<string, string>>): boolean {
  const set = /^(\S+)\s+(in|notin)\s*\(([^)]*)\)$/.exec(requirement);
  if (set !== null) {
    const values = set[3]!.split(",").map((value) => value.trim());
    const value = labels[set[1]!];
    return set[2] === "in"
      ? value !== undefined && values.includes(value)
      : value === undefined || !values.includes(value);
  }
  const compared = /^([^\s=!<>]+)\s*(==|=|!=|<|>)\s*(\S*)$/.exec(requirement);
  if (compared !== null) {
    const value = labels[compared[1]!];
    const [, , operator, wanted] = compared;
    if (operator === "!=") return value !== wanted;
    if (operator === "<" || operator === ">")
      return (
        value !== undefined &&
        (operator === "<" ? Number(value) < Number(wanted) : Number(value) > Number(wanted))
      );
    return value === wanted;
  }
  return requirement.startsWith("!")
    ? labels[requirement.slice(1).trim()] === undefined
    : labels[requirement] !== undefined;
}

export function matchesFields(selector: string, object: object): boolean {
  return selector
    .split(",")
    .filter((one) => one.trim() !== "")
    .every((one) => {
      const term = /^([^=!]+)(==|=|!=)(.*)$/.exec(one.trim());
      if (term === null) return false;
      const value = term[1]!
        .split(".")
        .reduce<unknown>(
          (at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined),
          object,
        );
      const text = typeof value === "string" || typeof value === "boolean" ? String(value) : "";
      return (text === term[3]) === (term[2] !== "!=");
    });
}
