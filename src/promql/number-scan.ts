import { isAlphaNumeric } from "./characters.ts";

/**
 * Reads a number or, when that fails, goes on from where it failed to read a duration, as Prometheus does. What it
 * takes is not yet known to be a legal number (`0.5.5`): that is told when its value is computed.
 */
export class NumberScan {
  at: number;
  readonly #text: string;

  constructor(text: string, from: number) {
    this.#text = text;
    this.at = from;
  }

  number(): boolean {
    const from = this.at;
    let digits = "0123456789";
    const hexadecimal = this.#accept("0") && this.#accept("xX");
    if (hexadecimal) {
      this.#accept("_");
      digits = "0123456789abcdefABCDEF";
    }
    this.#accept(".");
    this.#accept(digits);
    let dot = false;
    let exponent = false;
    for (;;) {
      if (this.#accept(".")) {
        if (dot || this.#accept("_.") || hexadecimal) return false;
        dot = true;
      } else if (this.#accept("eE")) {
        if (exponent) return false;
        exponent = true;
        this.#accept("+-");
        if (this.#accept("._eE") || this.#atEnd()) return false;
      } else if (this.#accept("_")) {
        if (this.#accept("._eE") || this.#atEnd()) return false;
      } else if (this.#accept(digits)) {
        // A run of digits: an `e` among hexadecimal ones is one of them here, while at a run's start it is not.
        while (this.#accept(digits));
      } else break;
    }
    return this.at > from && !this.#atWord();
  }

  restOfDuration(): boolean {
    if (!this.#accept("smhdwy")) return false;
    this.#accept("s");
    while (this.#accept("0123456789")) {
      while (this.#accept("0123456789"));
      // Years come first or not at all.
      if (!this.#accept("smhdw")) return false;
      this.#accept("s");
    }
    if (!this.#atWord()) return true;
    // The character that spoils the duration is shown in the message.
    this.at++;
    return false;
  }

  #accept(valid: string): boolean {
    if (this.#atEnd() || !valid.includes(this.#text[this.at]!)) return false;
    this.at++;
    return true;
  }

  #atEnd(): boolean {
    return this.at >= this.#text.length;
  }

  #atWord(): boolean {
    return isAlphaNumeric(this.#text.charCodeAt(this.at));
  }
}
