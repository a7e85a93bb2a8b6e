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
  /** How a value is written on the command line. */
  readonly print: (value: T) => string;
  /** How it is shown to others (`/api/v1/status/flags`) when it may hold a secret. */
  readonly show?: (value: T) => string;
  /** Given several times it collects its values. */
  readonly isList: boolean;
  /** What it means to give it without a value; undefined when a value is needed. */
  readonly bare?: string;
  readonly choices?: readonly string[];
  /** The name that others' programs have for it; works as well. */
  readonly alias?: string;
  /** A further environment variable, of others' programs. */
  readonly variable?: string;
  /** Why it is only accepted. */
  readonly noEffect?: string;
}

// oxlint-disable-next-line typescript/no-explicit-any -- the one place where flags of all types stand together
export type FlagTable = Readonly<Record<string, Flag<any>>>;
export type FlagValues<T extends FlagTable> = {
  readonly [K in keyof T]: T[K] extends Flag<infer V> ? V : never;
};

interface Texts extends Pick<Flag<unknown>, "alias" | "variable" | "noEffect"> {
  readonly name: string;
  readonly help: string;
  readonly value?: string;
}

export function textFlag(texts: Texts, fallback: string): Flag<string> {
  return make(texts, { placeholder: "text", fallback, parse: (text) => text, print: String });
}

/** A URL, or nothing. A password in it is not shown. */
export function urlFlag(texts: Texts): Flag<string> {
  const parse = (text: string): string => {
    if (text !== "" && !URL.canParse(text)) throw new Error("it must be a URL");
    return text;
  };
  const show = (text: string): string => {
    const url = URL.parse(text);
    if (url === null || url.password === "") return text;
    url.password = "xxxxx";
    return url.href;
  };
  return { ...make(texts, { placeholder: "url", fallback: "", parse, print: String }), show };
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

/** A number that may have decimals. */
export function decimalFlag(
  texts: Texts,
  options: { fallback: number; min: number; max: number },
): Flag<number> {
  const { fallback, min, max } = options;
  const parse = (text: string): number => {
    const value = Number(text);
    if (!/^\d*\.?\d+(e-?\d+)?$/i.test(text) || value < min || value > max)
      throw new Error(`it must be a number from ${min} to ${max}`);
    return value;
  };
  return make(texts, { placeholder: "number", fallback, parse, print: String });
}

/** A value with a spelling of its own; `fallback` is written in it. */
export function parsedFlag<T>(
  texts: Texts,
  options: { fallback: string; parse: (text: string) => T; print: (value: T) => string },
): Flag<T> {
  const { fallback, parse, print } = options;
  return make(texts, { placeholder: "text", fallback: parse(fallback), parse, print });
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

/** Bytes, written `512MB`; 0, where `min` (default 0) allows it, for no limit. */
export function sizeFlag(
  texts: Texts,
  fallback: string,
  { min = 0, max = Infinity } = {},
): Flag<number> {
  const parse = (text: string): number => {
    const size = parseSize(text);
    if (size > max) throw new Error(`it must be at most ${formatSize(max)}`);
    if (size < min) throw new Error(`it must be at least ${formatSize(min)}`);
    return size;
  };
  return make(texts, { placeholder: "size", fallback: parse(fallback), parse, print: formatSize });
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

/** `--name` alone, which means `bare`, or `--name=choice`. */
export function bareChoiceFlag<T extends string>(
  texts: Texts,
  options: { fallback: T; bare: T; choices: readonly T[] },
): Flag<T> {
  const placeholder = `[${texts.value ?? "one"}]`;
  return { ...choiceFlag(texts, options), placeholder, bare: options.bare };
}

/** `--name` and `--no-name`, also `--name=true` and `--name=false`; off unless `fallback` says otherwise. */
export function switchFlag(texts: Texts, fallback = false): Flag<boolean> {
  const parse = (text: string): boolean => {
    const isOn = parseSwitch(text);
    if (isOn === undefined) throw new Error("it must be true or false");
    return isOn;
  };
  return { ...make(texts, { placeholder: "", fallback, parse, print: String }) };
}

function parseSwitch(text: string): boolean | undefined {
  if (/^(1|t|true|yes|on)$/i.test(text)) return true;
  if (/^(0|f|false|no|off|)$/i.test(text)) return false;
  return undefined;
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
  const { value, ...others } = texts;
  const placeholder = rest.placeholder === "" ? "" : `<${value ?? rest.placeholder}>`;
  return { ...others, ...rest, placeholder, isList: false };
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

/**
 * The flags that were given by their aliases, or that the command line left at their defaults and their environment
 * variables give.
 */
export function readEnvironment(
  command: Command,
  table: FlagTable,
  environment: NodeJS.ProcessEnv = process.env,
): void {
  for (const flag of Object.values(table)) {
    const attribute = attributeOf(flag);
    readAlias(command, flag);
    if (command.getOptionValueSource(attribute) !== "default") continue;
    const variable = [environmentName(flag.name), flag.variable ?? ""].find(
      (name) => environment[name] !== undefined,
    );
    const given = variable === undefined ? undefined : environment[variable];
    if (given === undefined) continue;
    try {
      command.setOptionValueWithSource(attribute, flag.parse(given), "env");
    } catch (error) {
      command.error(`error: ${variable} is ${JSON.stringify(given)}: ${messageOf(error)}`);
    }
  }
}

function readAlias(command: Command, flag: FlagTable[string]): void {
  const { name, alias } = flag;
  if (alias === undefined) return;
  const given: unknown = command.getOptionValue(attributeOf({ name: alias }));
  if (given === undefined) return;
  if (command.getOptionValueSource(attributeOf(flag)) !== "default")
    command.error(`error: --${alias} is another name of --${name}: give one of them`);
  command.setOptionValueWithSource(attributeOf(flag), given, "cli");
}

/** Tells of each flag that was given and does nothing here. */
export function warnOfIdleFlags(
  command: Command,
  table: FlagTable,
  warn: (line: string) => void,
): void {
  for (const flag of Object.values(table))
    if (
      flag.noEffect !== undefined &&
      command.getOptionValueSource(attributeOf(flag)) !== "default"
    )
      warn(`--${flag.name} has no effect: ${flag.noEffect}`);
}

/**
 * `args` of `command` with switches as commander takes them: `--name=false` is `--no-name`. Others' programs write
 * switches with values.
 */
export function spellSwitches(command: Command, args: readonly string[]): string[] {
  return args.map((arg) => {
    const [, name, text] = /^--([^=]+)=(.*)$/.exec(arg) ?? [];
    const option = command.options.find(({ long }) => long === `--${name}`);
    if (name === undefined || option === undefined || !option.isBoolean()) return arg;
    const isOn = parseSwitch(text ?? "");
    if (isOn === undefined)
      command.error(
        `error: option '${option.long}' is ${JSON.stringify(text)}: it must be true or false`,
      );
    return isOn ? `--${name}` : `--no-${name}`;
  });
}

function optionsOf(flag: FlagTable[string]): Option[] {
  const { alias } = flag;
  const options = optionsNamed(flag);
  if (alias === undefined) return options;
  const [other] = optionsNamed({ ...flag, name: alias });
  other!.default(undefined).hideHelp();
  return [...options, other!];
}

function optionsNamed(flag: FlagTable[string]): Option[] {
  const value = flag.placeholder === "" ? "" : ` ${flag.placeholder}`;
  const option = new Option(`--${flag.name}${value}`, describe(flag));
  const shown = flag.print(flag.fallback);
  option.default(flag.fallback, shown === "" ? "none" : shown);
  if (flag.placeholder === "") {
    option.default(flag.fallback, flag.fallback === true ? "on" : "off");
    return [option, new Option(`--no-${flag.name}`).hideHelp()];
  }
  if (flag.bare !== undefined) option.preset(flag.bare);
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

function describe({ help, alias, variable, noEffect }: FlagTable[string]): string {
  const others = [
    ...(alias === undefined ? [] : [`--${alias}`]),
    ...(variable === undefined ? [] : [variable]),
  ];
  const also = others.length === 0 ? "" : ` Also ${others.join(" and ")}.`;
  return `${help}${noEffect === undefined ? "" : ` No effect: ${noEffect}.`}${also}`;
}

/** Under which name commander keeps the value. */
function attributeOf(flag: Pick<FlagTable[string], "name">): string {
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

/** All values as they would be written on the command line, by flag name, without secrets. */
export function printFlags<T extends FlagTable>(
  table: T,
  values: FlagValues<T>,
): Record<string, string> {
  const printed: Record<string, string> = {};
  for (const [key, flag] of Object.entries(table))
    printed[flag.name] = (flag.show ?? flag.print)(values[key]);
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
