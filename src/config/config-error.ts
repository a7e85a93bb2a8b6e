import { AppError } from "../base/errors.ts";

/** One thing wrong in a file, with where it is (1-based) and, when known, how to put it right. */
export interface Problem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly message: string;
  /** A sentence or two for the reader: what to write instead. */
  readonly help?: string | undefined;
  /** The line of the file, secrets masked, and how many columns the caret marks. */
  readonly excerpt?:
    | { readonly text: string; readonly column: number; readonly width: number }
    | undefined;
}

/** How many problems one error shows; the rest are counted. */
export const MAX_PROBLEMS_SHOWN = 10;

/**
 * A configuration file that is not accepted. Its message starts with `file:line:column: `, shows the line with a caret
 * under the place, and says what to do; several problems follow each other. Code `bad-data`.
 */
export class ConfigError extends AppError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super("bad-data", formatProblems(problems));
    this.name = "ConfigError";
    this.problems = problems;
  }
}

function formatProblems(problems: readonly Problem[]): string {
  const shown = problems.slice(0, MAX_PROBLEMS_SHOWN).map(formatProblem);
  const hidden = problems.length - shown.length;
  if (hidden > 0) shown.push(`… and ${hidden} more problem${hidden === 1 ? "" : "s"}`);
  return shown.join("\n");
}

function formatProblem(problem: Problem): string {
  const lines = [`${problem.file}:${problem.line}:${problem.column}: ${problem.message}`];
  const { excerpt } = problem;
  if (excerpt !== undefined) {
    const number = String(problem.line).padStart(5);
    const indent = " ".repeat(number.length);
    // A tab in the line keeps its width above the caret when it is repeated below.
    const lead = excerpt.text.slice(0, excerpt.column - 1).replaceAll(/[^\t]/g, " ");
    lines.push(`${number} | ${excerpt.text}`);
    lines.push(`${indent} | ${lead}${"^".repeat(Math.max(1, excerpt.width))}`);
  }
  if (problem.help !== undefined) lines.push(`      = ${problem.help}`);
  return lines.join("\n");
}
