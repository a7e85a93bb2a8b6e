import type { Position } from "./ast.ts";
import { Lexer } from "./lexer.ts";
import { durationOf, numberOf } from "./literals.ts";
import { ParseError } from "./parse-error.ts";
import { describeToken, type Token, type TokenKind } from "./tokens.ts";

/** How deep a query's tree may be. Deeper ones are refused, so that no walk over a tree can exhaust the stack. */
export const MAX_DEPTH = 1000;

/** Where the parser is, for `unexpected … in <where>, expected <expected>`; empty parts are left out. */
export interface Context {
  readonly where: string;
  readonly expected: string;
}

/** A number or duration literal; durations in seconds. */
export interface NumberToken {
  readonly position: Position;
  readonly value: number;
  readonly isDuration: boolean;
}

/** The tokens of a query with up to two tokens of lookahead, and the bookkeeping all parts of the parser share. */
export class TokenStream {
  /** The height of the tree parsed last: every part of the parser sets it before it returns. */
  height = 0;
  /** Where the last consumed token ended. */
  lastEnd = 0;

  readonly #lexer: Lexer;
  #first: Token | undefined;
  #second: Token | undefined;
  #nesting = 0;
  readonly #contexts: Context[] = [];

  constructor(text: string) {
    this.#lexer = new Lexer(text);
  }

  /** The whole query. */
  get text(): string {
    return this.#lexer.text;
  }

  peek(): Token {
    return (this.#first ??= this.#lexer.next());
  }

  peekSecond(): Token {
    this.peek();
    return (this.#second ??= this.#lexer.next());
  }

  next(): Token {
    const token = this.peek();
    this.#first = this.#second;
    this.#second = undefined;
    this.lastEnd = token.end;
    return token;
  }

  /** Consumes the next token if it is of `kind`. */
  accept(kind: TokenKind): Token | undefined {
    return this.peek().kind === kind ? this.next() : undefined;
  }

  expect(kind: TokenKind): Token {
    const token = this.accept(kind);
    if (token === undefined) throw this.unexpected();
    return token;
  }

  expectEnd(): void {
    this.expect("end of input");
  }

  /** Consumes a number or duration literal. */
  number(): NumberToken {
    const token = this.peek();
    if (token.kind !== "number" && token.kind !== "duration") throw this.unexpected();
    this.next();
    const isDuration = token.kind === "duration";
    const literal = isDuration ? durationOf(token.text) : numberOf(token.text);
    if ("reason" in literal) throw this.error(token, literal.reason);
    return { position: { start: token.start, end: token.end }, value: literal.value, isDuration };
  }

  /** From here on, until `popContext`, an unexpected token is unexpected in `context`. */
  pushContext(context: Context): void {
    this.#contexts.push(context);
  }

  popContext(): void {
    this.#contexts.pop();
  }

  /** The error that the next token does not fit; without arguments, in the innermost context. */
  unexpected(where?: string, expected?: string): ParseError {
    const context = this.#contexts.at(-1);
    const place = where ?? context?.where ?? "";
    const wanted = where === undefined ? (context?.expected ?? "") : (expected ?? "");
    const token = this.peek();
    return this.error(
      token,
      `unexpected ${describeToken(token)}${place === "" ? "" : ` in ${place}`}${wanted === "" ? "" : `, expected ${wanted}`}`,
    );
  }

  error(at: Position, reason: string): ParseError {
    return new ParseError(this.text, { start: at.start, end: at.end }, reason);
  }

  /** Marks one more level of the parser's own recursion. */
  enter(): void {
    if (++this.#nesting > MAX_DEPTH) throw this.#tooDeep(this.peek());
  }

  leave(): void {
    this.#nesting--;
  }

  /** Makes `height` that of a node over the tree parsed last and one of `otherHeight`. */
  growOver(otherHeight: number, at: Position): void {
    this.height = Math.max(this.height, otherHeight) + 1;
    if (this.height > MAX_DEPTH) throw this.#tooDeep(at);
  }

  #tooDeep(at: Position): ParseError {
    return this.error(at, `expression is nested more than ${MAX_DEPTH} levels deep`);
  }
}
