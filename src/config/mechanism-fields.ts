import { quote } from "../base/text.ts";
import { list, scalarKind, type Kind } from "./kind.ts";
import { field, object } from "./object.ts";
import type { Where } from "./reader.ts";
import { bad, duration, int, text } from "./scalars.ts";

/** Keys and rules that discovery mechanisms have in common. */

export const MINUTE_MS = 60_000;

/** `port`, 80 unless the mechanism says otherwise. */
export const portField = field(int, { default: 80, always: true });
export const refreshField = field(duration, { default: MINUTE_MS });
/** As `refreshField`, printed even when 0. */
export const shownRefreshField = field(duration, { default: MINUTE_MS, always: true });
/** Text that is printed even when empty. */
export const shownText = field(text, { always: true });

/** A list of `{name, values}`. */
export const filters = list(
  object("a filter", { name: shownText, values: field(list(text), { always: true }) }),
  { nullMessage: "empty or null filter" },
);

/** `role`, one of `roles`; `message` starts what is said of another word. */
export function role<T extends string>(roles: readonly T[], message: string): Kind<T | ""> {
  return scalarKind<T | "">({
    zero: "",
    parse(written) {
      const known = roles.find((one) => one === written);
      if (known === undefined) throw bad(`${message} ${quote(written)}`);
      return known;
    },
    print: (value) => value,
    help: `write one of: ${roles.join(", ")}`,
  });
}

/** Reports each key of `messages` whose value is empty, with its message. */
export function need<V extends object>(
  values: V,
  at: Where,
  messages: { readonly [K in keyof V]?: string },
): void {
  for (const [key, value] of Object.entries(values)) {
    const message: unknown = Object.hasOwn(messages, key) ? messages[key as keyof V] : undefined;
    if (typeof message === "string" && isMissing(value)) at.fail(key, message);
  }
}

function isMissing(value: unknown): boolean {
  if (typeof value === "object" && value !== null && "isEmpty" in value)
    return value.isEmpty === true;
  return value === "" || value === undefined || (Array.isArray(value) && value.length === 0);
}
