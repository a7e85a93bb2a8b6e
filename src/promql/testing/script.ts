/** promqltest scripts: blocks of `clear`, `load` and `eval`, parted by blank or comment lines, as typed commands. */
import { AppError, messageOf } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { parseDuration } from "../../base/units.ts";
import type { Labels } from "../../model/labels.ts";
import { compileAnchored } from "../../model/regex.ts";
import type { Expression } from "../ast.ts";
import { Lexer } from "../lexer.ts";
import { unquote } from "../literals.ts";
import { parseExpression, type ParserOptions } from "../parser.ts";
import {
  isStartTimeLine,
  parseSeriesLine,
  parseSignedNumber,
  parseStartTimeLine,
  type SequenceItem,
} from "./sequence.ts";

/** Scripts may use all of the language. */
export const SCRIPT_PARSER_OPTIONS: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  fillModifiers: true,
};

export type Command = ClearCommand | LoadCommand | EvalCommand;

export interface ClearCommand {
  readonly kind: "clear";
  /** 1-based. */
  readonly line: number;
}

export interface LoadCommand {
  readonly kind: "load";
  readonly line: number;
  /** Item i of a series lies at i × gap from the epoch. */
  readonly gapMs: number;
  /** Classic histograms are also to be loaded as native ones with custom buckets. */
  readonly withCustomBuckets: boolean;
  readonly series: readonly LoadedSeries[];
}

export interface LoadedSeries {
  readonly line: number;
  readonly labels: Labels;
  readonly items: readonly SequenceItem[];
  /** Start timestamps relative to each sample's own time, in step with `items`. */
  readonly startOffsetsMs: readonly (number | undefined)[] | undefined;
}

export interface EvalCommand {
  readonly kind: "eval";
  readonly line: number;
  readonly text: string;
  readonly expression: Expression;
  readonly isRange: boolean;
  /** When an instant query is evaluated. */
  readonly timeMs: number;
  /** A range query's steps, or the times of an expected range vector. */
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly isOrdered: boolean;
  readonly failure: Expectation | undefined;
  readonly warnings: AnnotationExpectation;
  readonly infos: AnnotationExpectation;
  readonly expected: Expected;
}

export type Expected =
  | { readonly kind: "scalar"; readonly item: SequenceItem }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "rangeVector"; readonly series: readonly ExpectedSeries[] }
  | { readonly kind: "series"; readonly series: readonly ExpectedSeries[] };

export interface ExpectedSeries {
  readonly labels: Labels;
  readonly items: readonly SequenceItem[];
}

/** What a message must be like; `description` is for people. */
export interface Expectation {
  readonly description: string;
  matches(message: string): boolean;
}

/** What annotations of one kind must be there: any of `some` each and nothing else, none, or no matter. */
export interface AnnotationExpectation {
  readonly some: readonly Expectation[];
  readonly none: boolean;
}

/** The commands of `text`. Throws `bad-data` with `file:line`. */
export function parseScript(text: string, file: string): Command[] {
  const lines = text.split("\n").map((line) => {
    const trimmed = line.trim();
    return trimmed.startsWith("#") ? "" : trimmed;
  });
  const commands: Command[] = [];
  for (let i = 0; i < lines.length; i++) {
    if (lines[i] === "") continue;
    const start = i;
    while (i + 1 < lines.length && lines[i + 1] !== "") i++;
    const block: Block = { file, line: start + 1, lines: lines.slice(start, i + 1) };
    commands.push(...parseBlock(block));
  }
  return commands;
}

interface Block {
  readonly file: string;
  /** The 1-based number of the first of `lines`. */
  readonly line: number;
  readonly lines: readonly string[];
}

/** The commands of one block: a `clear`, or an `eval` after its scalar, leaves the rest of the block to the next one. */
function parseBlock(block: Block): Command[] {
  const commands: Command[] = [];
  let rest = block;
  while (rest.lines.length > 0) {
    const first = rest.lines[0]!;
    const word = /^\S*/.exec(first)![0].toLowerCase();
    let used = rest.lines.length;
    if (word === "clear") {
      commands.push({ kind: "clear", line: rest.line });
      used = 1;
    } else if (word.startsWith("load")) commands.push(parseLoad(rest));
    else if (word.startsWith("eval")) {
      const parsed = parseEval(rest);
      commands.push(parsed.command);
      used = parsed.used;
    } else throw scriptError(rest, 0, `invalid command ${quote(first)}`);
    rest = { ...rest, line: rest.line + used, lines: rest.lines.slice(used) };
  }
  return commands;
}

function parseLoad(block: Block): LoadCommand {
  const match = /^load(_with_nhcb)?\s+(\S.*)$/.exec(block.lines[0]!);
  if (match === null)
    throw scriptError(block, 0, "invalid load command. (load[_with_nhcb] <step:duration>)");
  const gapMs = at(block, 0, () => parseDuration(match[2]!));
  const series: LoadedSeries[] = [];
  let startTimes: ReturnType<typeof parseStartTimeLine> | undefined;
  for (let i = 1; i < block.lines.length; i++) {
    const line = block.lines[i]!;
    if (isStartTimeLine(line)) {
      if (startTimes !== undefined)
        throw scriptError(block, i, "@st line has no following sample line");
      startTimes = at(block, i, () => parseStartTimeLine(line));
      continue;
    }
    const { labels, items } = at(block, i, () => parseSeriesLine(line));
    if (startTimes !== undefined && !startTimes.labels.equals(labels))
      throw scriptError(block, i, "@st metric does not match the following sample line metric");
    if (startTimes !== undefined && startTimes.offsetsMs.length !== items.length)
      throw scriptError(
        block,
        i,
        `@st line has ${startTimes.offsetsMs.length} values but sample line has ${items.length}`,
      );
    series.push({ line: block.line + i, labels, items, startOffsetsMs: startTimes?.offsetsMs });
    startTimes = undefined;
  }
  if (startTimes !== undefined)
    throw scriptError(block, block.lines.length - 1, "@st line has no following sample line");
  const withCustomBuckets = match[1] !== undefined;
  return { kind: "load", line: block.line, gapMs, withCustomBuckets, series };
}

const INSTANT = /^eval(?:_(fail|warn|ordered|info))?\s+instant\s+(?:at\s+(.+?))?\s+(.+)$/;
const RANGE =
  /^eval(?:_(fail|warn|info))?\s+range\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+?)\s+(.+)$/;
const ANY: Expectation = { description: "anything", matches: () => true };

function parseEval(block: Block): { readonly command: EvalCommand; readonly used: number } {
  const first = block.lines[0]!;
  const instant = INSTANT.exec(first);
  const range = instant === null ? RANGE.exec(first) : null;
  if (instant === null && range === null)
    throw scriptError(
      block,
      0,
      "invalid evaluation command. Must be either 'eval[_fail|_warn|_ordered|_info] instant [at <offset:duration>] <query>' or 'eval[_fail|_warn|_info] range from <from> to <to> step <step> <query>'",
    );
  const [, modifier] = (instant ?? range)!;
  const text = instant === null ? range![5]! : instant[3]!;
  const expression = at(block, 0, () => parseExpression(text, SCRIPT_PARSER_OPTIONS));
  const times =
    range === null
      ? { startMs: 0, endMs: 0, stepMs: 0 }
      : at(block, 0, () => parseTimes(range[2]!, range[3]!, range[4]!));
  const timeMs = at(block, 0, () => parseDuration(instant?.[2] ?? "0"));
  const body = new EvalBody(block, modifier);
  let used = 1;
  for (; used < block.lines.length && !body.isDone; used++)
    at(block, used, () => body.take(block.lines[used]!));
  const command: EvalCommand = {
    kind: "eval",
    line: block.line,
    text,
    expression,
    isRange: range !== null,
    timeMs: body.times?.endMs ?? timeMs,
    ...(body.times ?? times),
    ...body.finish(instant !== null),
  };
  return { command, used };
}

function parseTimes(
  from: string,
  to: string,
  step: string,
): { startMs: number; endMs: number; stepMs: number } {
  const times = {
    startMs: parseDuration(from),
    endMs: parseDuration(to),
    stepMs: parseDuration(step),
  };
  if (times.endMs < times.startMs)
    throw invalid(
      `invalid test definition, end timestamp (${to}) is before start timestamp (${from})`,
    );
  return times;
}

/** The lines below `eval`, one after another. */
class EvalBody {
  /** Set when the rest of the block means nothing, as after a scalar. */
  isDone = false;
  times: { startMs: number; endMs: number; stepMs: number } | undefined;

  readonly #block: Block;
  readonly #series: ExpectedSeries[] = [];
  readonly #some = { warn: [] as Expectation[], info: [] as Expectation[] };
  readonly #none = { warn: false, info: false };
  #ordered: boolean;
  #failure: Expectation | undefined;
  #scalar: SequenceItem | undefined;
  #string: string | undefined;

  constructor(block: Block, modifier: string | undefined) {
    this.#block = block;
    this.#ordered = modifier === "ordered";
    if (modifier === "fail") this.#failure = ANY;
    if (modifier === "warn" || modifier === "info") this.#some[modifier].push(ANY);
  }

  take(line: string): void {
    const legacy = /^expected_fail_(message|regexp)\s*(.*)$/.exec(line);
    if (legacy !== null && this.#failure === ANY) {
      this.#failure = legacy[1] === "message" ? exactly(legacy[2]!) : like(legacy[2]!);
      this.isDone = true;
      return;
    }
    if (/^expect range vector\b/.test(line)) return this.#takeRangeVector(line);
    if (/^expect string\b/.test(line)) return this.#takeString(line);
    if (/^expect(?:\s|$)/.test(line)) return this.#takeExpect(line);
    const number = parseSignedNumber(line);
    if (number !== undefined) {
      this.#scalar = { kind: "float", value: number };
      this.isDone = true;
      return;
    }
    this.#series.push(parseSeriesLine(line));
  }

  finish(
    isInstant: boolean,
  ): Pick<EvalCommand, "isOrdered" | "failure" | "warnings" | "infos" | "expected"> {
    const expected = this.#expected();
    if (isInstant && expected.kind === "series")
      for (const { items } of expected.series)
        if (items.length > 1)
          throw scriptError(
            this.#block,
            0,
            "expecting multiple values in instant evaluation not allowed. consider using 'expect range vector' directive to enable a range vector result for an instant query",
          );
    return {
      isOrdered: this.#ordered,
      failure: this.#failure,
      warnings: { some: this.#some.warn, none: this.#none.warn },
      infos: { some: this.#some.info, none: this.#none.info },
      expected,
    };
  }

  #expected(): Expected {
    if (this.#string !== undefined) return { kind: "string", value: this.#string };
    if (this.times !== undefined) return { kind: "rangeVector", series: this.#series };
    if (this.#scalar !== undefined) return { kind: "scalar", item: this.#scalar };
    return { kind: "series", series: this.#series };
  }

  #takeRangeVector(line: string): void {
    const match = /^expect range vector\s+from\s+(.+)\s+to\s+(.+)\s+step\s+(.+)$/.exec(line);
    if (match === null) throw invalid(`invalid range vector definition ${quote(line)}`);
    this.times = parseTimes(match[1]!, match[2]!, match[3]!);
  }

  #takeString(line: string): void {
    const literal = line.slice("expect string".length).trim();
    const token = literal === "" ? undefined : new Lexer(literal).next();
    if (token?.kind !== "string" || token.end !== literal.length)
      throw invalid(
        "expected string literal not valid - check that the string is correctly quoted",
      );
    this.#string = unquote(literal);
  }

  #takeExpect(line: string): void {
    const match =
      /^expect\s+(ordered|fail|warn|no_warn|info|no_info)(?:\s+(regex|msg):(.+))?$/.exec(line);
    if (match === null)
      throw invalid(
        "invalid expect statement, must match `expect <type> <match_type>: <string>` format",
      );
    const [, kind, form, text = ""] = match;
    const expectation =
      form === undefined ? ANY : form === "msg" ? exactly(text.trim()) : like(text.trim());
    if (kind === "ordered") this.#ordered = true;
    else if (kind === "fail") {
      if (this.#failure !== undefined)
        throw invalid("invalid expect lines, multiple expect fail lines are not allowed");
      this.#failure = expectation;
    } else {
      const type = kind!.endsWith("warn") ? "warn" : "info";
      if (kind!.startsWith("no_")) this.#none[type] = true;
      else this.#some[type].push(expectation);
      if (this.#none[type] && this.#some[type].length > 0)
        throw invalid(`invalid expect lines, ${type} and no_${type} cannot be used together`);
    }
  }
}

function exactly(wanted: string): Expectation {
  return { description: quote(wanted), matches: (message) => message === wanted };
}

/** A regular expression found anywhere in the message, in Go's syntax. */
function like(pattern: string): Expectation {
  const regex = compileAnchored(`(?s:.*)(?-s:${pattern})(?s:.*)`);
  return {
    description: `something like ${quote(pattern)}`,
    matches: (message) => regex.matches(message),
  };
}

/** Runs `parse` and places what it throws at line `index` of the block. */
function at<T>(block: Block, index: number, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw scriptError(block, index, messageOf(error), error);
  }
}

function scriptError(block: Block, index: number, reason: string, cause?: unknown): AppError {
  return new AppError("bad-data", `${block.file}:${block.line + index}: ${reason}`, { cause });
}

function invalid(reason: string): AppError {
  return new AppError("bad-data", reason);
}
