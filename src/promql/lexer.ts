/**
 * Splits a query into tokens, on demand: the parser asks for the next one only when it needs it, so that of two
 * mistakes the one Prometheus would meet first is the one reported. The scanner is modal as Prometheus's is: inside
 * braces words are label names, inside brackets only durations are legal.
 */
import { quote } from "../base/text.ts";
import { isAlpha, isAlphaNumeric, isDigit, isLineEnd, isSpace } from "./characters.ts";
import { NumberScan } from "./number-scan.ts";
import { quoteCharacter } from "./quote.ts";
import { ParseError } from "./parse-error.ts";
import { DURATION_WORDS, WORDS, type Token, type TokenKind } from "./tokens.ts";

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const HASH = 0x23;
const APOSTROPHE = 0x27;
const BACKSLASH = 0x5c;
const BACKTICK = 0x60;
/** What `#peek` gives past the end. */
const END = -1;

type Mode = "statement" | "braces" | "duration";

export class Lexer {
  readonly text: string;
  #position = 0;
  /** Where the token being read began: the place of a lexical error. */
  #start = 0;
  #mode: Mode = "statement";
  #parenDepth = 0;
  #bracketOpen = false;
  #gotColon = false;
  #gotDuration = false;

  constructor(text: string) {
    this.text = text;
  }

  /** The next token, comments and space skipped; "end of input" again and again at the end. */
  next(): Token {
    this.#skipSpace();
    this.#start = this.#position;
    switch (this.#mode) {
      case "statement":
        return this.#statement();
      case "braces":
        return this.#insideBraces();
      case "duration":
        return this.#insideBrackets();
    }
  }

  #skipSpace(): void {
    for (;;) {
      const unit = this.#peek();
      if (isSpace(unit)) this.#position++;
      // Directly behind `[` a comment is not legal in Prometheus.
      else if (unit === HASH && this.#mode !== "duration") {
        while (this.#peek() !== END && !isLineEnd(this.#peek())) this.#position++;
      } else return;
    }
  }

  #statement(): Token {
    const unit = this.#peek();
    if (unit === END) {
      if (this.#parenDepth !== 0) throw this.#error("unclosed left parenthesis");
      if (this.#bracketOpen) throw this.#error("unclosed left bracket");
      return this.#take("end of input", 0);
    }
    const character = this.text[this.#position]!;
    const after = this.text[this.#position + 1];
    switch (character) {
      case ",":
      case "*":
      case "/":
      case "%":
      case "+":
      case "-":
      case "^":
      case "@":
        return this.#take(character, 1);
      case "=":
        if (after === "=") return this.#take("==", 2);
        if (after === "~") throw this.#error("unexpected character after '=': '~'");
        return this.#take("=", 1);
      case "!":
        if (after === "=") return this.#take("!=", 2);
        throw this.#error(`unexpected character after '!': ${this.#quoteAt(this.#position + 1)}`);
      case "<":
        if (after === "=") return this.#take("<=", 2);
        return after === "/" ? this.#take("</", 2) : this.#take("<", 1);
      case ">":
        if (after === "=") return this.#take(">=", 2);
        return after === "/" ? this.#take(">/", 2) : this.#take(">", 1);
      case "(":
      case ")":
        return this.#parenthesis(character);
      case "{":
        this.#mode = "braces";
        return this.#take("{", 1);
      case "[":
        if (this.#bracketOpen) throw this.#error("unexpected left bracket '['");
        this.#bracketOpen = true;
        this.#gotColon = false;
        this.#mode = "duration";
        return this.#take("[", 1);
      case "]":
        if (!this.#bracketOpen) throw this.#error("unexpected right bracket ']'");
        this.#bracketOpen = false;
        return this.#take("]", 1);
    }
    if (unit === QUOTE || unit === APOSTROPHE || unit === BACKTICK) return this.#string(unit);
    if (this.#atNumber()) return this.#numberOrDuration();
    if (isAlpha(unit) || character === ":") return this.#word(character);
    throw this.#error(`unexpected character: ${this.#quoteAt(this.#position)}`);
  }

  #parenthesis(character: "(" | ")"): Token {
    const token = this.#take(character, 1);
    this.#parenDepth += character === "(" ? 1 : -1;
    // Prometheus places this error behind the parenthesis.
    this.#start = this.#position;
    if (this.#parenDepth < 0) throw this.#error("unexpected right parenthesis ')'");
    return token;
  }

  #word(character: string): Token {
    if (this.#bracketOpen) {
      if (character === ":") {
        if (this.#gotColon) throw this.#error("unexpected colon ':'");
        this.#gotColon = true;
        return this.#take(":", 1);
      }
      const token = this.#durationWord();
      if (token !== undefined) return token;
      throw this.#error(
        `unexpected character: ${this.#quoteAt(this.#start)}, expected ':'`,
        this.#start,
      );
    }
    let end = this.#position;
    while (isAlphaNumeric(this.text.charCodeAt(end)) || this.text[end] === ":") end++;
    const text = this.text.slice(this.#position, end);
    const size = text.length;
    const kind = WORDS.get(text.toLowerCase());
    if (kind === undefined)
      return this.#take(text.includes(":") ? "metric identifier" : "identifier", size);
    // `fill` is common enough as a metric's name: a keyword only before a parenthesis.
    if (kind.startsWith("fill") && !this.#parenthesisFollows(end))
      return this.#take("identifier", size);
    return this.#take(kind, size);
  }

  #parenthesisFollows(from: number): boolean {
    let at = from;
    while (isSpace(this.text.charCodeAt(at))) at++;
    return this.text[at] === "(";
  }

  /** `step`, `range`, `min_of` or `max_of` at the current place, if it is one. */
  #durationWord(): Token | undefined {
    let end = this.#position;
    while (isAlpha(this.text.charCodeAt(end))) end++;
    const word = this.text.slice(this.#position, end).toLowerCase();
    const kind = DURATION_WORDS.has(word) ? WORDS.get(word) : undefined;
    return kind === undefined ? undefined : this.#take(kind, word.length);
  }

  #insideBrackets(): Token {
    const unit = this.#peek();
    if (unit === END) throw this.#error("unexpected end of input in duration expression");
    const character = this.text[this.#position]!;
    switch (character) {
      case "]":
        this.#bracketOpen = false;
        this.#gotColon = false;
        this.#mode = "statement";
        return this.#take("]", 1);
      case ":": {
        const token = this.#take(":", 1);
        this.#start = this.#position;
        if (!this.#gotDuration)
          throw this.#error("unexpected colon before duration in duration expression");
        if (this.#gotColon) throw this.#error("unexpected repeated colon in duration expression");
        this.#gotColon = true;
        return token;
      }
      case "(":
      case ")":
        return this.#parenthesis(character);
      case "+":
      case "-":
      case "*":
      case "/":
      case "%":
      case "^":
      case ",":
        return this.#take(character, 1);
    }
    if (this.#atNumber()) {
      this.#gotDuration = true;
      this.#mode = "statement";
      return this.#numberOrDuration();
    }
    const token = this.#durationWord();
    if (token !== undefined) return token;
    throw this.#error(
      `unexpected character in duration expression: ${this.#quoteAt(this.#position)}`,
    );
  }

  #insideBraces(): Token {
    const unit = this.#peek();
    if (unit === END) throw this.#error("unexpected end of input inside braces");
    if (isAlpha(unit)) {
      let end = this.#position;
      while (isAlphaNumeric(this.text.charCodeAt(end))) end++;
      return this.#take("identifier", end - this.#position);
    }
    if (unit === QUOTE || unit === APOSTROPHE || unit === BACKTICK) return this.#string(unit);
    const after = this.text[this.#position + 1];
    switch (this.text[this.#position]!) {
      case ",":
        return this.#take(",", 1);
      case "=":
        return after === "~" ? this.#take("=~", 2) : this.#take("=", 1);
      case "!":
        if (after === "~") return this.#take("!~", 2);
        if (after === "=") return this.#take("!=", 2);
        throw this.#error(
          `unexpected character after '!' inside braces: ${this.#quoteAt(this.#position + 1)}`,
        );
      case "{":
        throw this.#error("unexpected left brace '{'");
      case "}":
        this.#mode = "statement";
        return this.#take("}", 1);
      default:
        throw this.#error(`unexpected character inside braces: ${this.#quoteAt(this.#position)}`);
    }
  }

  #string(opening: number): Token {
    const raw = opening === BACKTICK;
    let at = this.#position + 1;
    for (;;) {
      const unit = at < this.text.length ? this.text.charCodeAt(at) : END;
      if (unit === END || (unit === NEWLINE && !raw))
        throw this.#error(raw ? "unterminated raw string" : "unterminated quoted string");
      if (unit === opening) return this.#take("string", at + 1 - this.#position);
      if (unit === BACKSLASH && !raw) {
        at = this.#escape(at + 1, opening);
        continue;
      }
      const size = this.#characterSize(at);
      if (size === 0) throw this.#error("invalid UTF-8 rune");
      at += size;
    }
  }

  /** UTF-16 units of the character at `at`; 0 for what no UTF-8 text can hold or a decoder has replaced. */
  #characterSize(at: number): number {
    const unit = this.text.charCodeAt(at);
    if (unit === 0xfffd) return 0;
    if (unit < 0xd800 || unit >= 0xe000) return 1;
    return this.text.codePointAt(at)! > 0xffff ? 2 : 0;
  }

  /** Checks the escape sequence whose character behind the backslash is at `at`; returns the offset behind it. */
  #escape(at: number, opening: number): number {
    const character = this.text[at];
    if (character === undefined) throw this.#error("escape sequence not terminated");
    if ("abfnrtv\\".includes(character) || this.text.charCodeAt(at) === opening) return at + 1;
    let digits: number;
    let base = 16;
    let max = 0x10ffff;
    let from = at + 1;
    if (character >= "0" && character <= "7") [digits, base, max, from] = [3, 8, 255, at];
    else if (character === "x") [digits, max] = [2, 255];
    else if (character === "u") digits = 4;
    else if (character === "U") digits = 8;
    else throw this.#error(`unknown escape sequence ${this.#codePointAt(at)}`);
    let value = 0;
    for (let i = from; i < from + digits; i++) {
      if (i >= this.text.length) throw this.#error("escape sequence not terminated");
      const digit = Number.parseInt(this.text[i]!, 16);
      if (!(digit < base))
        throw this.#error(`illegal character ${this.#codePointAt(i)} in escape sequence`);
      value = value * base + digit;
    }
    if (value > max || (value >= 0xd800 && value < 0xe000))
      throw this.#error("escape sequence is an invalid Unicode code point");
    return from + digits;
  }

  #atNumber(): boolean {
    const unit = this.#peek();
    return isDigit(unit) || (unit === 0x2e && isDigit(this.text.charCodeAt(this.#position + 1)));
  }

  #numberOrDuration(): Token {
    const scan = new NumberScan(this.text, this.#position);
    if (scan.number()) return this.#take("number", scan.at - this.#position);
    if (scan.restOfDuration()) return this.#take("duration", scan.at - this.#position);
    throw this.#error(
      `bad number or duration syntax: ${quote(this.text.slice(this.#start, scan.at))}`,
    );
  }

  #peek(): number {
    return this.#position < this.text.length ? this.text.charCodeAt(this.#position) : END;
  }

  #take(kind: TokenKind, size: number): Token {
    const start = this.#position;
    this.#position += size;
    return { kind, start, end: this.#position, text: this.text.slice(start, this.#position) };
  }

  #error(reason: string, start = this.#start): ParseError {
    return new ParseError(this.text, { start, end: this.text.length }, reason);
  }

  #quoteAt(at: number): string {
    return quoteCharacter(this.text.codePointAt(at));
  }

  #codePointAt(at: number): string {
    const code = this.text.codePointAt(at)!;
    return `U+${code.toString(16).toUpperCase().padStart(4, "0")} '${String.fromCodePoint(code)}'`;
  }
}
