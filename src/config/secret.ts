import { inspect } from "node:util";

/** A password, token or key. It prints as `<secret>` wherever it is printed; only `reveal` gives the value. */
export class Secret {
  static readonly NONE = new Secret("");

  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  get isEmpty(): boolean {
    return this.#value === "";
  }

  /** The secret itself, for the one place that sends it. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return "<secret>";
  }

  toJSON(): string {
    return "<secret>";
  }

  [inspect.custom](): string {
    return "<secret>";
  }
}
