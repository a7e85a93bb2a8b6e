import { RE2JS, RE2JSException } from "re2js";
import { AppError, messageOf } from "../base/errors.ts";
import { mapKey } from "../base/map-key.ts";
import { RegexTest } from "./regex-test.ts";
import { matchesShape, parseShape, type Shape } from "./regex-shape.ts";

/**
 * Users' regular expressions: RE2 syntax and semantics in linear time, anchored at both ends with `.` matching
 * newlines (`^(?s:…)$`), as Prometheus compiles them. JavaScript's RegExp never sees a user's pattern.
 *
 * Most patterns are alternatives of literals and wildcards and need no more than that (`regex-shape.ts`); for the rest a
 * machine tells whether a text matches (`regex-test.ts`), and verdicts are remembered, because label values repeat. The
 * engine, RE2JS, says what is wrong with a pattern, finds groups, and takes the few patterns that the machine does not, and
 * those of rules that are too large for it.
 */
export interface AnchoredRegex {
  readonly source: string;
  matches(text: string): boolean;
  /** The capture groups of a full match (index 0 is the whole text; an unmatched group is ""), or undefined. */
  groups(text: string): string[] | undefined;
  /**
   * `$1`, `${name}`, `$$` in `template` replaced by the groups of `text`; undefined when `text` does not match.
   * `checkLength` is told how long the result will be before it is made, and may throw.
   */
  expand(
    text: string,
    template: string,
    checkLength?: (length: number) => void,
  ): string | undefined;
  /** The finite set of texts this pattern stands for (`a|b|c`), when it is one. */
  readonly set: readonly string[] | undefined;
}

/** Verdicts remembered for each pattern that needs the engine; when full, all are forgotten. */
const VERDICT_MEMO_MAX = 4096;
const TEMPLATE_MEMO_MAX = 16;
/** Longer texts are not worth holding for their verdict. */
const VERDICT_TEXT_MAX_LENGTH = 1024;

/** Longer patterns that need the engine are refused: compiling takes 10 µs a character, in which nothing else runs. */
const ENGINE_MAX_LENGTH = 64 * 1024;

/**
 * Most characters of a query's pattern times characters of a text whose groups the engine is to find: with the worst
 * patterns this many take a second, in which nothing else runs. Whether a text matches is told much sooner.
 */
export const CAPTURE_MAX_WORK = 10_000_000;

/** Compiles a matcher's `source`, or throws `bad-data` with Prometheus's message, which quotes the source as written. */
export function compileAnchored(source: string): AnchoredRegex {
  const shape = parseShape(source);
  if (shape !== undefined) return new ShapedRegex(source, shape, CAPTURE_MAX_WORK);
  checkLength(source);
  const test = RegexTest.of(source);
  if (test === undefined) checkSyntax(source);
  return new EngineRegex(source, { test, maxWork: CAPTURE_MAX_WORK });
}

/** Throws what is wrong with a matcher's `source`, for which there is no test, if it is wrong. */
function checkSyntax(source: string): void {
  const failure = RegexTest.failureOf(source);
  if ("message" in failure) throw new AppError("bad-data", failure.message);
  const check = (text: string): RE2JS =>
    // Alone: `a)(b` would be balanced by the anchors.
    parse(text, RE2JS.DOTALL, (message) => message.replace("`(?s)", "`"));
  try {
    // What is before it was read: the engine, which is slow at first, finds what is wrong sooner without.
    if (failure.from > 0) check(source.slice(failure.from));
  } catch (error) {
    if (!(error instanceof AppError) || !WHOLE_WRONG.test(error.message)) throw error;
  }
  check(source);
}

/** What can be said of a whole pattern only. */
const WHOLE_WRONG =
  /regexp: (?:missing closing \)|unexpected \)|expression |missing argument|duplicate)/;

/**
 * Compiles a relabelling rule's `source`. It is the same language, but Prometheus checks it with its anchors on, which
 * shows in its messages, and who writes rules may let them take their time: error parsing regexp: missing closing ): `^(?s:(a)$`.
 */
export function compileRelabelRegex(source: string): AnchoredRegex {
  const shape = parseShape(source);
  if (shape !== undefined) return new ShapedRegex(source, shape, Infinity);
  checkLength(source);
  return new EngineRegex(source, { test: RegexTest.of(source), maxWork: Infinity });
}

/** Throws `execution` where finding groups might take seconds or minutes. */
function checkWork(source: string, text: string, maxWork: number): void {
  if (source.length * text.length > maxWork)
    throw new AppError(
      "execution",
      `cannot find the groups of a regular expression of ${source.length} characters in a text of ${text.length}: multiplied they are above the limit of ${maxWork}. Use a shorter expression`,
    );
}

function checkLength({ length }: string): void {
  if (length > ENGINE_MAX_LENGTH)
    throw new AppError(
      "bad-data",
      `error parsing regexp: expression too large: ${length} characters, the limit is ${ENGINE_MAX_LENGTH}. Use fewer, or none but literals and .*`,
    );
}

class EngineRegex implements AnchoredRegex {
  readonly source: string;
  readonly set = undefined;
  readonly #test: RegexTest | undefined;
  readonly #maxWork: number;
  #compiled: RE2JS | undefined;
  readonly #verdicts = new Map<string, boolean>();
  readonly #templates = new Templates();

  constructor(source: string, options: { test: RegexTest | undefined; maxWork: number }) {
    this.source = source;
    this.#maxWork = options.maxWork;
    this.#test = options.test;
    // Says what is wrong.
    if (options.test === undefined) this.#engine();
  }

  matches(text: string): boolean {
    const known = this.#verdicts.get(text);
    if (known !== undefined) return known;
    const verdict = this.#matches(text);
    if (text.length <= VERDICT_TEXT_MAX_LENGTH) {
      if (this.#verdicts.size >= VERDICT_MEMO_MAX) this.#verdicts.clear();
      this.#verdicts.set(text, verdict);
    }
    return verdict;
  }

  #matches(text: string): boolean {
    // Label values are well-formed; what else is asked is the engine's.
    if (this.#test !== undefined && text.isWellFormed()) {
      const verdict = this.#test.matches(text);
      if (verdict !== undefined) return verdict;
      if (this.#maxWork !== Infinity) throw this.#test.refusal(text);
    }
    checkWork(this.source, text, this.#maxWork);
    return this.#engine().testExact(text);
  }

  #engine(): RE2JS {
    return (this.#compiled ??= parse(`^(?s:${this.source})$`, 0, (message) => message));
  }

  groups(text: string): string[] | undefined {
    // The engine is slow, and many values do not match.
    if (!this.matches(text)) return undefined;
    checkWork(this.source, text, this.#maxWork);
    return captures(this.#engine(), text);
  }

  expand(
    text: string,
    template: string,
    checkLength?: (length: number) => void,
  ): string | undefined {
    if (!this.matches(text)) return undefined;
    checkWork(this.source, text, this.#maxWork);
    const engine = this.#engine();
    const matcher = engine.matcher(text);
    if (!matcher.matches()) return undefined;
    const parts = this.#templates.parts(template, () => engine);
    const found: string[] = [];
    for (const part of parts)
      if (typeof part === "number") found[part] ??= matcher.group(part) ?? "";
    return fill(parts, found, checkLength);
  }
}

class ShapedRegex implements AnchoredRegex {
  readonly source: string;
  readonly set: readonly string[] | undefined;
  readonly matches: (text: string) => boolean;
  readonly #maxWork: number;
  #compiled: RE2JS | undefined;
  readonly #templates = new Templates();

  constructor(source: string, shape: Shape, maxWork: number) {
    this.source = source;
    this.#maxWork = maxWork;
    this.set = literalSet(shape);
    this.matches = createTest(shape, this.set);
  }

  groups(text: string): string[] | undefined {
    if (!this.matches(text)) return undefined;
    // Fast path: the default `(.*)` captures what it matches.
    if (this.source === "(.*)" || this.source === "(.+)") return [text, text];
    // Where there is no group, the whole match is all there is to know.
    if (!this.source.includes("(")) return [text];
    checkWork(this.source, text, this.#maxWork);
    return captures(this.#engine(), text);
  }

  expand(
    text: string,
    template: string,
    checkLength?: (length: number) => void,
  ): string | undefined {
    if (!template.includes("$")) {
      if (!this.matches(text)) return undefined;
      checkLength?.(template.length);
      return template;
    }
    // Fast path: the default rule, `(.*)` to `$1`, copies.
    if (template === "$1" && this.source === "(.*)") {
      checkLength?.(text.length);
      return text;
    }
    const found = this.groups(text);
    if (found === undefined) return undefined;
    return fill(
      this.#templates.parts(template, () => this.#engine()),
      found,
      checkLength,
    );
  }

  #engine(): RE2JS {
    return (this.#compiled ??= RE2JS.compile(`^(?s:${this.source})$`));
  }
}

/** Templates taken apart once: text, and the numbers of groups that the pattern has. */
class Templates {
  readonly #known = new Map<string, readonly (string | number)[]>();

  parts(template: string, engine: () => RE2JS): readonly (string | number)[] {
    let parts = this.#known.get(template);
    if (parts === undefined) {
      if (this.#known.size >= TEMPLATE_MEMO_MAX) this.#known.clear();
      this.#known.set(template, (parts = parseTemplate(template, engine())));
    }
    return parts;
  }
}

function parseTemplate(template: string, engine: RE2JS): readonly (string | number)[] {
  const named = engine.namedGroups();
  const parts: (string | number)[] = [];
  let at = 0;
  for (const reference of template.matchAll(REFERENCE)) {
    parts.push(template.slice(at, reference.index));
    at = reference.index + reference[0].length;
    const name = reference[1] ?? reference[2];
    if (name === undefined) parts.push("$");
    else {
      const index = groupIndex(name) ?? (Object.hasOwn(named, name) ? named[name] : undefined);
      if (index !== undefined && index <= engine.groupCount()) parts.push(index);
    }
  }
  parts.push(template.slice(at));
  return parts.filter((part) => part !== "");
}

/** A template's parts with `groups` in their places. */
function fill(
  parts: readonly (string | number)[],
  groups: readonly string[],
  checkLength: ((length: number) => void) | undefined,
): string {
  if (checkLength !== undefined) {
    let length = 0;
    for (const part of parts)
      length += (typeof part === "string" ? part : (groups[part] ?? "")).length;
    checkLength(length);
  }
  let text = "";
  for (const part of parts) text += typeof part === "string" ? part : (groups[part] ?? "");
  return text;
}

function literalSet(shape: Shape): readonly string[] | undefined {
  const { alternatives } = shape;
  if (alternatives.some((alternative) => alternative.gaps.length > 0)) return undefined;
  const byKey = new Map<string, string>();
  for (const { literals } of alternatives) byKey.set(mapKey(literals[0]!), literals[0]!);
  return [...byKey.values()];
}

/** The cheapest test for `shape`, chosen once. */
function createTest(shape: Shape, set: readonly string[] | undefined): (text: string) => boolean {
  if (set !== undefined) {
    const [only] = set;
    if (set.length === 1) return (text) => text === only;
    const members = new Set(set.map(mapKey));
    return (text) => members.has(mapKey(text));
  }
  const [first, ...others] = shape.alternatives;
  if (others.length === 0 && first!.literals.length === 2) {
    const [prefix, suffix] = first!.literals as [string, string];
    const least = prefix.length + suffix.length + first!.gaps[0]!;
    if (least === 0) return () => true;
    return (text) => text.length >= least && text.startsWith(prefix) && text.endsWith(suffix);
  }
  return (text) => matchesShape(shape, text);
}

function parse(source: string, flags: number, reword: (message: string) => string): RE2JS {
  try {
    return RE2JS.compile(source, flags);
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    const message = messageOf(error);
    // Go quotes the offending text even where there is none, or it is all.
    let text = message;
    if (message.endsWith("trailing backslash at end of expression")) text += ": ``";
    else if (!message.includes("`")) text += `: \`${source}\``;
    throw new AppError("bad-data", reword(text), { cause: error });
  }
}

function captures(compiled: RE2JS, text: string): string[] | undefined {
  const matcher = compiled.matcher(text);
  if (!matcher.matches()) return undefined;
  return Array.from({ length: matcher.groupCount() + 1 }, (_, i) => matcher.group(i) ?? "");
}

/** The number that a group name is; Go takes `01` for a name, not for 1. */
function groupIndex(name: string): number | undefined {
  return /^(?:0|[1-9]\d{0,7})$/.test(name) ? Number(name) : undefined;
}

const REFERENCE = /\$(?:\$|([\p{L}\p{Nd}_]+)|\{([\p{L}\p{Nd}_]+)\})/gu;

/**
 * Go's regexp.Expand: `$name` takes the longest run of letters, digits and `_` (so `$1x` is the group named `1x`, which
 * no pattern has), `${name}` exactly the name, `$$` is `$`; any other `$` stands for itself.
 */
export function expandTemplate(template: string, group: (name: string) => string): string {
  return template.replace(REFERENCE, (whole, plain?: string, braced?: string) =>
    whole === "$$" ? "$" : group(plain ?? braced!),
  );
}
