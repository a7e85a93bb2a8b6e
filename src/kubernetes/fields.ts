import { AppError } from "../base/errors.ts";

/** A mapping of unknown shape, read key by key; every complaint says where in the file it is about. Values are never shown. */
export class Fields {
  readonly #value: Readonly<Record<string, unknown>>;
  readonly #where: string;

  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new AppError("bad-data", `${where} is not a mapping`);
    this.#value = value as Readonly<Record<string, unknown>>;
    this.#where = where;
  }

  /** The text at `key`; "" when absent or null. */
  text(key: string): string {
    const value = this.#get(key);
    if (value === undefined || value === null) return "";
    if (typeof value === "string") return value;
    if (typeof value === "number") return String(value);
    throw this.problem(`has a ${key} that is not a text`);
  }

  flag(key: string): boolean {
    const value = this.#get(key);
    if (value === undefined || value === null) return false;
    if (typeof value === "boolean") return value;
    throw this.problem(`has a ${key} that is not true or false`);
  }

  /** Undefined when absent or null. */
  optionalFlag(key: string): boolean | undefined {
    return this.has(key) ? this.flag(key) : undefined;
  }

  /** Undefined when absent or null. */
  number(key: string): number | undefined {
    const value = this.#get(key);
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number") return value;
    throw this.problem(`has a ${key} that is not a number`);
  }

  /** Whether there is anything but null at `key`. */
  has(key: string): boolean {
    const value = this.#get(key);
    return value !== undefined && value !== null;
  }

  /** What stands at `key`, of whatever type. */
  raw(key: string): unknown {
    return this.#get(key);
  }

  keys(): readonly string[] {
    return Object.keys(this.#value);
  }

  texts(key: string): readonly string[] {
    const value = this.#list(key);
    if (value.every((one): one is string => typeof one === "string")) return value;
    throw this.problem(`has a ${key} that is not a list of texts`);
  }

  /** A mapping of free names to texts; undefined when absent or null. */
  textMap(key: string): Readonly<Record<string, string>> | undefined {
    const map = this.optionalChild(key);
    if (map === undefined) return undefined;
    const texts = Object.create(null) as Record<string, string>;
    for (const name of map.keys()) texts[name] = map.text(name);
    return texts;
  }

  children(key: string): readonly Fields[] {
    return this.#list(key).map((one, index) => new Fields(one, `${this.#where}: ${key}[${index}]`));
  }

  /** The mapping at `key`; absent or null reads as empty. */
  child(key: string): Fields {
    return new Fields(this.#get(key) ?? {}, `${this.#where}: ${key}`);
  }

  optionalChild(key: string): Fields | undefined {
    const value = this.#get(key);
    return value === undefined || value === null ? undefined : this.child(key);
  }

  /** The element of the list at `key` whose `name` is `name`. */
  named(key: string, name: string): Fields {
    const found = this.#list(key).find(
      (one) => typeof one === "object" && one !== null && "name" in one && one.name === name,
    );
    if (found === undefined)
      throw this.problem(`has nothing named ${JSON.stringify(name)} under ${key}`);
    return new Fields(found, `${this.#where}: ${key} ${JSON.stringify(name)}`);
  }

  problem(message: string): AppError {
    return new AppError("bad-data", `${this.#where} ${message}`);
  }

  #get(key: string): unknown {
    return Object.hasOwn(this.#value, key) ? this.#value[key] : undefined;
  }

  #list(key: string): readonly unknown[] {
    const value = this.#get(key);
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value;
    throw this.problem(`has a ${key} that is not a list`);
  }
}
