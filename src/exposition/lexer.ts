/**
 * The exact tokenisers of the text formats: state machines with the states and rules of Prometheus's lexers
 * (model/textparse/promlex.l and openmetricslex.l), so that what one accepts the other accepts. They run only where
 * the columnar fast path in parse.ts gives a line up, and for every error.
 */
export type Token =
  | "INVALID"
  | "EOF"
  | "LINEBREAK"
  | "HELP"
  | "TYPE"
  | "UNIT"
  | "EOFWORD"
  | "TEXT"
  | "COMMENT"
  | "MNAME"
  | "QSTRING"
  | "BOPEN"
  | "BCLOSE"
  | "LNAME"
  | "LVALUE"
  | "COMMA"
  | "EQUAL"
  | "TIMESTAMP"
  | "VALUE";

type State =
  | "init"
  | "comment"
  | "metaName"
  | "metaText"
  | "labels"
  | "labelValue"
  | "value"
  | "timestamp"
  | "exemplar"
  | "exemplarValue"
  | "exemplarTimestamp";

const NEWLINE = 10;
const SPACE = 32;
const TAB = 9;
const QUOTE = 34;
const HASH = 35;
const BACKSLASH = 92;

/** Bit 1: may start a label name; bit 2: may go on in one; bits 4 and 8: the same for metric names (with colons). */
export const NAME_CLASS = new Uint8Array(256);
for (let c = 0; c < 128; c++) {
  const text = String.fromCharCode(c);
  if (/[a-zA-Z_]/.test(text)) NAME_CLASS[c] = 15;
  else if (/[0-9]/.test(text)) NAME_CLASS[c] = 10;
  else if (text === ":") NAME_CLASS[c] = 12;
}
export const LABEL_START = 1;
export const LABEL_PART = 2;
export const METRIC_START = 4;
export const METRIC_PART = 8;
/** What a label value may hold with nothing to be checked or unescaped: ASCII but quote, backslash and newline. */
export const VALUE_PART = 16;
for (let c = 0; c < 128; c++) if (c !== 34 && c !== 92 && c !== 10) NAME_CLASS[c]! |= VALUE_PART;

export abstract class Lexer {
  /** The token just read is bytes[start, position); after INVALID `position` is the byte that fits no rule. */
  start = 0;
  position = 0;
  protected state: State = "init";
  protected bytes: Uint8Array = new Uint8Array(0);
  protected end = 0;

  /** Reads tokens of bytes[position, end) from here on, at the start of a line. */
  reset(bytes: Uint8Array, range: { readonly start: number; readonly end: number }): void {
    this.bytes = bytes;
    this.position = range.start;
    this.start = range.start;
    this.end = range.end;
    this.state = "init";
  }

  abstract next(): Token;

  /** The byte at `position`, or -1 at the end. */
  protected peek(): number {
    return this.position < this.end ? this.bytes[this.position]! : -1;
  }

  protected take(token: Token, state: State): Token {
    this.position++;
    this.state = state;
    return token;
  }

  protected name(part: number, token: Token, state: State): Token {
    while (this.position < this.end && (NAME_CLASS[this.bytes[this.position]!]! & part) !== 0)
      this.position++;
    this.state = state;
    return token;
  }

  /** `"…"` with `\x` for any x but a newline. */
  protected quoted(options: { newlines: boolean; token: Token; state: State }): Token {
    for (this.position++; this.position < this.end; this.position++) {
      const c = this.bytes[this.position]!;
      if (c === QUOTE) {
        this.position++;
        this.state = options.state;
        return options.token;
      }
      if (c === NEWLINE && !options.newlines) return "INVALID";
      if (c === BACKSLASH) {
        this.position++;
        if (this.peek() === NEWLINE) return "INVALID";
      }
    }
    this.position = this.end;
    return "INVALID";
  }

  /** Goes past `word` followed by a separator; stays where the first difference is. */
  protected word(word: string, separators: (c: number) => boolean): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.peek() !== word.charCodeAt(i)) return false;
      this.position++;
    }
    if (!separators(this.peek())) return false;
    this.position++;
    return true;
  }
}

/** Text 0.0.4 and 1.0.0. Blanks and tabs between tokens are skipped. */
export class TextLexer extends Lexer {
  override next(): Token {
    for (;;) {
      this.start = this.position;
      const c = this.peek();
      if (c === -1) return "EOF";
      // In metadata a blank belongs to the text, unless it is all there is before the end of the line.
      if (c === SPACE || c === TAB) {
        this.#skipBlanks();
        if (this.state !== "metaText" || this.peek() === NEWLINE) continue;
        this.position = this.start;
      }
      return this.#token(c);
    }
  }

  #token(c: number): Token {
    switch (this.state) {
      case "init":
        if (c === NEWLINE) return this.take("LINEBREAK", "init");
        if (c === HASH) return this.#comment();
        if (c === 123) return this.take("BOPEN", "labels");
        if ((NAME_CLASS[c]! & METRIC_START) !== 0) return this.name(METRIC_PART, "MNAME", "value");
        return "INVALID";
      case "metaName":
        if (c === QUOTE) return this.quoted({ newlines: true, token: "MNAME", state: "metaText" });
        if ((NAME_CLASS[c]! & METRIC_START) !== 0)
          return this.name(METRIC_PART, "MNAME", "metaText");
        return "INVALID";
      case "metaText":
        return this.#toLineEnd("TEXT");
      case "labels":
        if (c === 125) return this.take("BCLOSE", "value");
        if (c === 61) return this.take("EQUAL", "labelValue");
        if (c === 44) return this.take("COMMA", "labels");
        if (c === QUOTE) return this.quoted({ newlines: true, token: "QSTRING", state: "labels" });
        if ((NAME_CLASS[c]! & LABEL_START) !== 0) return this.name(LABEL_PART, "LNAME", "labels");
        return "INVALID";
      case "labelValue":
        return c === QUOTE
          ? this.quoted({ newlines: true, token: "LVALUE", state: "labels" })
          : "INVALID";
      case "value":
        if (c === 123) return this.take("BOPEN", "labels");
        if (c === NEWLINE) return "INVALID";
        while (this.position < this.end && !isValueEnd(this.bytes[this.position]!)) this.position++;
        this.state = "timestamp";
        return "VALUE";
      case "timestamp":
        if (c === NEWLINE) return this.take("LINEBREAK", "init");
        if (c < 48 || c > 57) return "INVALID";
        while (this.peek() >= 48 && this.peek() <= 57) this.position++;
        return "TIMESTAMP";
      case "comment":
      case "exemplar":
      case "exemplarValue":
      case "exemplarTimestamp":
        return "INVALID";
    }
  }

  #comment(): Token {
    this.position++;
    if (!isBlank(this.peek())) return this.#toLineEnd("COMMENT");
    this.#skipBlanks();
    const at = this.position;
    for (const word of ["HELP", "TYPE"] as const) {
      this.position = at;
      if (!this.word(word, isBlank)) continue;
      this.#skipBlanks();
      this.state = "metaName";
      return word;
    }
    return this.#toLineEnd("COMMENT");
  }

  #toLineEnd(token: Token): Token {
    while (this.position < this.end && this.bytes[this.position] !== NEWLINE) this.position++;
    this.state = "init";
    return token;
  }

  #skipBlanks(): void {
    while (isBlank(this.peek())) this.position++;
  }
}

/** OpenMetrics 0.0.1 and 1.0.0: exactly one blank where one is needed, none elsewhere. */
export class OpenMetricsLexer extends Lexer {
  override next(): Token {
    this.start = this.position;
    const c = this.peek();
    if (c === -1) return "EOF";
    switch (this.state) {
      case "init":
        if (c === HASH) return this.#comment();
        if (c === 123) return this.take("BOPEN", "labels");
        if ((NAME_CLASS[c]! & METRIC_START) !== 0) return this.name(METRIC_PART, "MNAME", "value");
        return "INVALID";
      case "metaName":
        if (c === QUOTE) return this.quoted({ newlines: true, token: "MNAME", state: "metaText" });
        if ((NAME_CLASS[c]! & METRIC_START) !== 0)
          return this.name(METRIC_PART, "MNAME", "metaText");
        return "INVALID";
      case "metaText":
        return this.#metadataText(c);
      case "labels":
        return this.#label(c, { newlines: true, close: "value", equal: "labelValue" });
      case "labelValue":
        return c === QUOTE
          ? this.quoted({ newlines: false, token: "LVALUE", state: "labels" })
          : "INVALID";
      case "value":
        if (c === 123) return this.take("BOPEN", "labels");
        return this.#word(c, "VALUE", "timestamp");
      case "timestamp":
        if (c === NEWLINE) return this.take("LINEBREAK", "init");
        if (this.#startsExemplar()) {
          this.position += 4;
          this.state = "exemplar";
          return "COMMENT";
        }
        return this.#word(c, "TIMESTAMP", "timestamp");
      case "exemplar":
        return this.#label(c, { newlines: false, close: "exemplarValue", equal: "exemplarValue" });
      case "exemplarValue":
        if (c === QUOTE)
          return this.quoted({ newlines: false, token: "LVALUE", state: "exemplar" });
        return this.#word(c, "VALUE", "exemplarTimestamp");
      case "exemplarTimestamp":
        if (c === NEWLINE) return this.take("LINEBREAK", "init");
        return this.#word(c, "TIMESTAMP", "exemplarTimestamp");
      case "comment":
        return "INVALID";
    }
  }

  #label(c: number, next: { newlines: boolean; close: State; equal: State }): Token {
    if (c === 125) return this.take("BCLOSE", next.close);
    if (c === 61) return this.take("EQUAL", next.equal);
    if (c === 44) return this.take("COMMA", this.state);
    if (c === QUOTE)
      return this.quoted({ newlines: next.newlines, token: "QSTRING", state: this.state });
    if ((NAME_CLASS[c]! & LABEL_START) !== 0) return this.name(LABEL_PART, "LNAME", this.state);
    return "INVALID";
  }

  /** One blank and then everything up to the next blank or the end of the line. */
  #word(c: number, token: Token, state: State): Token {
    if (c !== SPACE) return "INVALID";
    this.position++;
    const first = this.position;
    while (this.position < this.end) {
      const at = this.bytes[this.position]!;
      if (at === SPACE || at === NEWLINE) break;
      this.position++;
    }
    if (this.position === first) return "INVALID";
    this.state = state;
    return token;
  }

  #startsExemplar(): boolean {
    const { bytes, position } = this;
    return (
      position + 4 <= this.end &&
      bytes[position] === SPACE &&
      bytes[position + 1] === HASH &&
      bytes[position + 2] === SPACE &&
      bytes[position + 3] === 123
    );
  }

  #comment(): Token {
    this.position++;
    if (this.peek() !== SPACE) return "INVALID";
    this.position++;
    const at = this.position;
    const isSpace = (c: number): boolean => c === SPACE;
    let furthest = at;
    for (const word of ["HELP", "TYPE", "UNIT"] as const) {
      this.position = at;
      if (this.word(word, isSpace)) {
        this.state = "metaName";
        return word;
      }
      furthest = Math.max(furthest, this.position);
    }
    this.position = at;
    if (this.#eofWord()) return "EOFWORD";
    this.position = Math.max(furthest, this.position);
    return "INVALID";
  }

  #eofWord(): boolean {
    for (let i = 0; i < 3; i++) {
      if (this.peek() !== "EOF".charCodeAt(i)) return false;
      this.position++;
    }
    if (this.peek() === NEWLINE) this.position++;
    this.state = "init";
    return true;
  }

  /** One blank, the text and its newline. */
  #metadataText(c: number): Token {
    if (c !== SPACE) return "INVALID";
    while (this.position < this.end && this.bytes[this.position] !== NEWLINE) this.position++;
    if (this.position === this.end) return "INVALID";
    return this.take("TEXT", "init");
  }
}

function isBlank(c: number): boolean {
  return c === SPACE || c === TAB;
}

function isValueEnd(c: number): boolean {
  return c === 123 || c === SPACE || c === TAB || c === NEWLINE;
}
