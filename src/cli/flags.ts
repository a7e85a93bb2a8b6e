import { Command, InvalidArgumentError, Option } from "commander";
import { messageOf } from "../base/errors.ts";
import { formatDuration, formatSize, parseDuration, parseSize } from "../base/units.ts";

/**
 * Flags as typed values. Each can also be given as an environment variable (`--config.file` is `SHOAL_CONFIG_FILE`); the
 * command line wins. Names are Prometheus's or Kvass's where they have the flag.
 */
export interface Flag<T> {
  readonly name: string;
  readonly help: string;
  /** What `--help` shows for the value, `<path>`; "" for a switch. */
  readonly placeholder: string;
  readonly fallback: T;
  readonly parse: (text: string) => T;
  /** How a value is written on the command line: for `--help` and `/api/v1/status/flags`. */
  readonly print: (value: T) => string;
  /** Given several times it collects its values. */
  readonly isList: boolean;
  readonly choices?: readonly string[];
}

// oxlint-disable-next-line typescript/no-explicit-any -- the one place where flags of all types stand together
export type FlagTable = Readonly<Record<string, Flag<any>>>;
export type FlagValues<T extends FlagTable> = {
  readonly [K in keyof T]: T[K] extends Flag<infer V> ? V : never;
};

interface Texts {
  readonly name: string;
  readonly help: string;
  readonly value?: string;
}

export function textFlag(texts: Texts, fallback: string): Flag<string> {
  return make(texts, { placeholder: "text", fallback, parse: (text) => text, print: String });
}

export function numberFlag(
  texts: Texts,
  options: { fallback: number; min: number; max?: number },
): Flag<number> {
  const { fallback, min, max = Number.MAX_SAFE_INTEGER } = options;
  const parse = (text: string): number => {
    const value = Number(text);
    if (!/^-?\d+$/.test(text) || value < min || value > max)
      throw new Error(
        max === Number.MAX_SAFE_INTEGER
          ? `it must be a whole number of at least ${min}`
          : `it must be a whole number from ${min} to ${max}`,
      );
    return value;
  };
  return make(texts, { placeholder: "n", fallback, parse, print: String });
}

/** A share of a whole, such as 0.85: above 0 and at most 1. */
export function shareFlag(texts: Texts, fallback: number): Flag<number> {
  const parse = (text: string): number => {
    const value = Number(text);
    if (!/^\d*\.?\d+$/.test(text) || value <= 0 || value > 1)
      throw new Error("it must be a number above 0 and at most 1, such as 0.85");
    return value;
  };
  return make(texts, { placeholder: "share", fallback, parse, print: String });
}

/** A duration in Prometheus's spelling (`1m30s`), as ms. */
export function durationFlag(texts: Texts, fallback: string): Flag<number> {
  return make(texts, {
    placeholder: "duration",
    fallback: parseDuration(fallback),
    parse: parseDuration,
    print: formatDuration,
  });
}

/** Bytes, written `512MB`; 0 for no limit. */
export function sizeFlag(texts: Texts, fallback: string): Flag<number> {
  return make(texts, {
    placeholder: "size",
    fallback: parseSize(fallback),
    parse: parseSize,
    print: formatSize,
  });
}

export function choiceFlag<T extends string>(
  texts: Texts,
  options: { fallback: T; choices: readonly T[] },
): Flag<T> {
  const { fallback, choices } = options;
  const parse = (text: string): T => {
    const found = choices.find((choice) => choice === text);
    if (found === undefined) throw new Error(`it must be one of ${choices.join(", ")}`);
    return found;
  };
  return { ...make(texts, { placeholder: "one", fallback, parse, print: String }), choices };
}

/** `--name` and `--no-name`; off unless `fallback` says otherwise. */
export function switchFlag(texts: Texts, fallback = false): Flag<boolean> {
  const parse = (text: string): boolean => {
    if (/^(1|true|yes|on)$/i.test(text)) return true;
    if (/^(0|false|no|off|)$/i.test(text)) return false;
    throw new Error("it must be true or false");
  };
  return { ...make(texts, { placeholder: "", fallback, parse, print: String }) };
}

/** May be given several times; as an environment variable, with commas between. */
export function listFlag(texts: Texts): Flag<readonly string[]> {
  return {
    ...make<readonly string[]>(texts, {
      placeholder: "text",
      fallback: [],
      parse: (text) => text.split(",").filter((part) => part !== ""),
      print: (values) => values.join(","),
    }),
    isList: true,
  };
}

function make<T>(
  texts: Texts,
  rest: Pick<Flag<T>, "placeholder" | "fallback" | "parse" | "print">,
): Flag<T> {
  const placeholder = rest.placeholder === "" ? "" : `<${texts.value ?? rest.placeholder}>`;
  return { name: texts.name, help: texts.help, ...rest, placeholder, isList: false };
}

/** `config.file` is `SHOAL_CONFIG_FILE`. */
export function environmentName(flag: string): string {
  return `SHOAL_${flag.toUpperCase().replaceAll(/[.-]/g, "_")}`;
}

/** Adds the flags of `table` to `command`. */
export function addFlags(command: Command, table: FlagTable): void {
  for (const flag of Object.values(table))
    for (const option of optionsOf(flag)) command.addOption(option);
}

/** The flags that the command line left at their defaults, from their environment variables. */
export function readEnvironment(
  command: Command,
  table: FlagTable,
  environment: NodeJS.ProcessEnv = process.env,
): void {
  for (const flag of Object.values(table)) {
    const variable = environmentName(flag.name);
    const given = environment[variable];
    const attribute = attributeOf(flag);
    if (given === undefined || command.getOptionValueSource(attribute) !== "default") continue;
    try {
      command.setOptionValueWithSource(attribute, flag.parse(given), "env");
    } catch (error) {
      command.error(`error: ${variable} is ${JSON.stringify(given)}: ${messageOf(error)}`);
    }
  }
}

function optionsOf(flag: FlagTable[string]): Option[] {
  const value = flag.placeholder === "" ? "" : ` ${flag.placeholder}`;
  const option = new Option(`--${flag.name}${value}`, flag.help);
  const shown = flag.print(flag.fallback);
  option.default(flag.fallback, shown === "" ? "none" : shown);
  if (flag.placeholder === "") {
    option.default(flag.fallback, flag.fallback === true ? "on" : "off");
    return [option, new Option(`--no-${flag.name}`).hideHelp()];
  }
  option.argParser((text: string, previous: unknown) => {
    try {
      const parsed: unknown = flag.parse(text);
      if (!flag.isList) return parsed;
      const before = previous === flag.fallback || !Array.isArray(previous) ? [] : previous;
      return [...before, ...(Array.isArray(parsed) ? parsed : [parsed])];
    } catch (error) {
      throw new InvalidArgumentError(messageOf(error));
    }
  });
  return [option];
}

/** Under which name commander keeps the value. */
function attributeOf(flag: FlagTable[string]): string {
  return new Option(`--${flag.name}`).attributeName();
}

/** The typed values of `table`'s flags out of what commander has parsed. */
export function flagValues<T extends FlagTable>(
  table: T,
  parsed: Readonly<Record<string, unknown>>,
): FlagValues<T> {
  const values: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(table)) values[key] = parsed[attributeOf(flag)];
  // The keys are the table's own and each value went through its flag's parser.
  return values as FlagValues<T>;
}

/** All values as they would be written on the command line, by flag name. */
export function printFlags<T extends FlagTable>(
  table: T,
  values: FlagValues<T>,
): Record<string, string> {
  const printed: Record<string, string> = {};
  for (const [key, flag] of Object.entries(table)) printed[flag.name] = flag.print(values[key]);
  return printed;
}

/** What holds when nothing is given. */
export function defaultsOf<T extends FlagTable>(table: T): FlagValues<T> {
  const values: Record<string, unknown> = {};
  for (const [key, flag] of Object.entries(table)) values[key] = flag.fallback;
  return values as FlagValues<T>;
}

/** `--name=value` for each flag of `table`: how a parent starts a child with the same options. */
export function flagArguments<T extends FlagTable>(table: T, values: FlagValues<T>): string[] {
  return Object.entries(table).flatMap(([key, flag]) => {
    const text = flag.print(values[key]);
    if (flag.placeholder === "" && values[key] !== flag.fallback)
      return [values[key] === true ? `--${flag.name}` : `--no-${flag.name}`];
    return text === flag.print(flag.fallback) ? [] : [`--${flag.name}=${text}`];
  });
}
