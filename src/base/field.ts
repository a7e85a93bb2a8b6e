/** A field of what was parsed from JSON or YAML; undefined when there is none. Names such as `__proto__` are fields like others. */
export function fieldOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
