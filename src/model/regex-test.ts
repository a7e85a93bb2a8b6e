import { AppError } from "../base/errors.ts";
import { type RegexFailure, RegexKernel, type RegexProgram } from "./regex-kernel.ts";

/** Places where a character may stand in a pattern, with its repetitions written out; at most 4 KiB for 20 of them. */
export const PLACES_MAX = 32_768;
/** Where there are assertions, there are tables for each way in which they hold; these are mostly not more than that. */
const ASSERTION_TABLES = 4;

/** Most moves of 32 places each, and changes of counters, in a text (regex-machine.as, regex-counters.as). */
const MOVES_MAX = 1_600_000;
const COUNT_MAX = 1_000_000;

/** Tells whether whole texts match a pattern; what is needed for that is made when the first text is long enough. */
export class RegexTest {
  readonly #program: RegexProgram;
  readonly #placesMax: number;

  private constructor(program: RegexProgram) {
    this.#program = program;
    this.#placesMax = PLACES_MAX / (program.facts.hasAssertion ? ASSERTION_TABLES : 1);
  }

  /** The test for `source` under `^(?s:…)$`, or undefined when it is wrong or in an odd corner. */
  static of(source: string): RegexTest | undefined {
    const program = source.isWellFormed() ? RegexKernel.shared().compile(source) : undefined;
    return program && new RegexTest(program);
  }

  /** What is wrong with a pattern for which there is no test. */
  static failureOf(source: string): RegexFailure {
    return source.isWellFormed() ? RegexKernel.shared().failureOf(source) : { from: 0 };
  }

  /** Undefined where the pattern and the text are too large to be held against each other. */
  matches(text: string): boolean | undefined {
    const { minLength, maxLength, places, hasAssertion } = this.#program.facts;
    // A character is up to two units long.
    if (text.length < minLength || text.length > maxLength * 2) return false;
    // What can have no characters is the empty text itself. A matcher is asked of it for series without the label.
    if (text === "" && !hasAssertion) return true;
    if (places > this.#placesMax) return undefined;
    return RegexKernel.shared().matches(this.#program, text);
  }

  /** What to say where `matches` is undefined. */
  refusal(text: string): AppError {
    const { source, facts } = this.#program;
    return new AppError(
      "refused",
      `cannot hold a regular expression of ${source.length} characters against a text of ${text.length}: with its repetitions written out it is too large (${facts.places}; the limits are ${this.#placesMax}, ${MOVES_MAX} times that 32 places move on by a character, and ${COUNT_MAX} that counters begin or end). Use fewer repetitions`,
    );
  }
}
