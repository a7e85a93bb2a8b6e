import { AppError } from "../base/errors.ts";

/** Reads JSON that people hand in, and says where it is wrong. */

/** Parses `text`; throws `bad-data` with `source`, line and column. */
export function parseJsonFile(text: string, source: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const index = errorIndex(text, what);
    const before = text.slice(0, index);
    const line = before.split("\n").length;
    const column = index - before.lastIndexOf("\n");
    throw new AppError(
      "bad-data",
      `cannot read ${source}:${line}:${column}: it is not JSON: ${withoutPosition(what)}`,
    );
  }
}

/** Where `text` stops being JSON. The engine says so for some errors; for the others it is looked for. */
function errorIndex(text: string, message: string): number {
  const position = /\bat position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return Number(position);
  if (!message.startsWith("Unexpected token")) return text.length;
  // The shortest beginning of the text that has the same kind of error ends with the wrong character.
  let good = 0;
  let bad = text.length;
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    if (hasWrongToken(text.slice(0, middle))) bad = middle;
    else good = middle;
  }
  return bad - 1;
}

function hasWrongToken(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return error instanceof Error && error.message.startsWith("Unexpected token");
  }
}

/** `Unexpected token '}', ..."abc"... is not valid JSON` without the excerpt, `… at position 7 (line 1 column 8)` without that. */
function withoutPosition(message: string): string {
  return message
    .replace(/ in JSON at position .*$/s, "")
    .replace(/ after JSON at position .*$/s, " after the end")
    .replace(/, (\.\.\.)?".*is not valid JSON$/s, "");
}

export type Fields = Readonly<Record<string, unknown>>;

/** One value of a document with the path to it, for messages. */
export class Field {
  readonly #value: unknown;
  readonly #path: string;
  readonly #source: string;

  constructor(value: unknown, path: string, source: string) {
    this.#value = value;
    this.#path = path;
    this.#source = source;
  }

  get isMissing(): boolean {
    return this.#value === undefined || this.#value === null;
  }

  wrong(wanted: string): AppError {
    const where = this.#path === "" ? this.#source : `${this.#source}: ${this.#path}`;
    return new AppError("bad-data", `cannot read ${where}: it must be ${wanted}`);
  }

  field(name: string): Field {
    const path = this.#path === "" ? name : `${this.#path}.${name}`;
    return new Field(this.#fields()[name], path, this.#source);
  }

  items(): Field[] {
    if (!Array.isArray(this.#value)) throw this.wrong("a list");
    return this.#value.map((item, i) => new Field(item, `${this.#path}[${i}]`, this.#source));
  }

  entries(): [string, Field][] {
    return Object.keys(this.#fields()).map((name) => [name, this.field(name)]);
  }

  text(fallback?: string): string {
    if (this.isMissing && fallback !== undefined) return fallback;
    if (typeof this.#value !== "string") throw this.wrong("text");
    return this.#value;
  }

  /** A number of at least 0. */
  count(): number {
    if (typeof this.#value !== "number" || !Number.isFinite(this.#value) || this.#value < 0)
      throw this.wrong("a number of at least 0");
    return this.#value;
  }

  #fields(): Fields {
    if (typeof this.#value !== "object" || this.#value === null || Array.isArray(this.#value))
      throw this.wrong("an object");
    return this.#value as Fields;
  }
}
