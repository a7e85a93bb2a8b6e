import { RE2JS, RE2JSException } from "re2js";
import { AppError, messageOf } from "../base/errors.ts";

/**
 * Users' regular expressions: RE2 syntax and semantics in linear time, anchored at both ends with `.` matching
 * newlines (`^(?s:…)$`), as Prometheus compiles them. JavaScript's RegExp never sees a user's pattern.
 */
export interface AnchoredRegex {
  readonly source: string;
  matches(text: string): boolean;
  /** The capture groups of a full match (index 0 is the whole text; an unmatched group is ""), or undefined. */
  groups(text: string): string[] | undefined;
  /** `$1`, `${name}`, `$$` in `template` replaced by the groups of `text`; undefined when `text` does not match. */
  expand(text: string, template: string): string | undefined;
  /** The finite set of texts this pattern stands for (`a|b|c`), when it is one. */
  readonly set: readonly string[] | undefined;
}

/** Compiles `source`, or throws `bad-data` with RE2's message. */
export function compileAnchored(source: string): AnchoredRegex {
  const compiled = compile(source);
  const set = literalAlternatives(source);
  const members = set === undefined ? undefined : new Set(set);
  return {
    source,
    set,
    matches: members === undefined ? (text) => compiled.matches(text) : (text) => members.has(text),
    groups(text) {
      const matcher = compiled.matcher(text);
      if (!matcher.matches()) return undefined;
      return Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? "");
    },
    expand(text, template) {
      const matcher = compiled.matcher(text);
      if (!matcher.matches()) return undefined;
      const named = compiled.namedGroups();
      return expandTemplate(template, (name) => {
        const index = /^\d+$/.test(name) ? Number(name) : named[name];
        return index === undefined || index > matcher.groupCount()
          ? ""
          : (matcher.group(index) ?? "");
      });
    },
  };
}

function compile(source: string): RE2JS {
  try {
    return RE2JS.compile(`^(?s:${source})$`);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    throw new AppError("bad-data", messageOf(error).replace(`^(?s:${source})$`, source), {
      cause: error,
    });
  }
}

function literalAlternatives(source: string): string[] | undefined {
  return /[\\^$.*+?()[\]{}]/.test(source) ? undefined : source.split("|");
}

/** Go's regexp.Expand: `$name` takes the longest run of word characters, `${name}` exactly the name, `$$` is `$`. */
export function expandTemplate(template: string, group: (name: string) => string): string {
  return template.replace(/\$(?:\$|(\w+)|\{(\w+)\})/g, (whole, plain?: string, braced?: string) => {
    if (whole === "$$") return "$";
    return group(plain ?? braced!);
  });
}
