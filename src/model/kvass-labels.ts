/** Kvass writes label names outside the old alphabet with this before them. */
const INVALID_PREFIX = "__invalid_label_";

/** Labels as Kvass writes them, under their own names. */
export function labelsFromKvass(
  labels: Iterable<readonly [name: string, value: string]>,
): Record<string, string> {
  // Label names such as `__proto__` are legal.
  const own = Object.create(null) as Record<string, string>;
  for (const [name, value] of labels)
    own[name.startsWith(INVALID_PREFIX) ? name.slice(INVALID_PREFIX.length) : name] = value;
  return own;
}
