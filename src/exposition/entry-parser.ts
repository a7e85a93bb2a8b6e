import { AppError } from "../base/errors.ts";
import {
  METADATA_HELP,
  METADATA_TYPE,
  METADATA_UNIT,
  METRIC_KINDS,
  type ParsedColumns,
} from "./columns.ts";
import { floatError, parseFloatBytes, writeNormalNaN } from "./float-bytes.ts";
import { OpenMetricsLexer, TextLexer, type Lexer, type Token } from "./lexer.ts";
import { isValidUtf8, quoteBytes } from "./quote-bytes.ts";

export type TextFormat = "text" | "openmetrics";

/** What one call of `EntryParser.next` found. */
export type Entry = "sample" | "metadata" | "comment" | "blank" | "end";

/**
 * Reads one entry (a line) at a time with the exact grammar and the error texts of Prometheus's parsers; slow, but
 * only lines out of the ordinary come here.
 */
export class EntryParser {
  /** Index into METRIC_KINDS of the last TYPE line. */
  kind = 0;
  readonly #format: TextFormat;
  readonly #lexer: Lexer;
  #bytes: Uint8Array = new Uint8Array(0);
  #text: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Where the entry being read starts. */
  #start = 0;
  /** Where its series starts. */
  #seriesStart = 0;
  /** Whether the series being read has a metric name yet (quoted names come inside the braces). */
  #named = false;

  constructor(format: TextFormat) {
    this.#format = format;
    this.#lexer = format === "text" ? new TextLexer() : new OpenMetricsLexer();
  }

  /** Reads bytes[0, length) from now on; for text, bytes[length] is a newline that the caller has put there. */
  reset(bytes: Uint8Array, text: Buffer, length: number): void {
    this.#bytes = bytes;
    this.#text = text;
    this.#length = this.#format === "text" ? length + 1 : length;
    this.kind = 0;
  }

  /** One past the entry that was read last. */
  get position(): number {
    return this.#lexer.position;
  }

  /** Reads the entry at `position` into `into`. Throws `bad-data` in Prometheus's words. */
  next(position: number, into: ParsedColumns): Entry {
    const lexer = this.#lexer;
    this.#start = position;
    lexer.reset(this.#bytes, { start: position, end: this.#length });
    const token = lexer.next();
    this.#seriesStart = lexer.start;
    switch (token) {
      case "EOF":
        if (this.#format === "openmetrics") throw this.#fail("data does not end with # EOF");
        return "end";
      case "EOFWORD":
        if (lexer.next() !== "EOF") throw this.#fail("unexpected data after # EOF");
        return "end";
      case "LINEBREAK":
        return "blank";
      case "HELP":
      case "TYPE":
      case "UNIT":
        this.#metadata(token, into);
        return "metadata";
      case "COMMENT": {
        const after = lexer.next();
        if (after !== "LINEBREAK")
          throw this.#unexpected("linebreak expected after comment", after);
        return "comment";
      }
      case "BOPEN":
        this.#named = false;
        this.#labels(false);
        this.#sample(into, { seriesEnd: lexer.position, token: lexer.next() });
        return "sample";
      case "MNAME": {
        this.#named = true;
        // As in Prometheus, blanks in front belong to the name.
        this.#seriesStart = this.#start;
        let seriesEnd = lexer.position;
        let after = lexer.next();
        if (after === "BOPEN") {
          this.#labels(false);
          seriesEnd = lexer.position;
          after = lexer.next();
        }
        this.#sample(into, { seriesEnd, token: after });
        return "sample";
      }
      case "INVALID":
      case "TEXT":
      case "QSTRING":
      case "BCLOSE":
      case "LNAME":
      case "LVALUE":
      case "COMMA":
      case "EQUAL":
      case "TIMESTAMP":
      case "VALUE":
        throw this.#unexpected("expected a valid start token", token);
    }
  }

  #metadata(what: "HELP" | "TYPE" | "UNIT", into: ParsedColumns): void {
    const lexer = this.#lexer;
    const bytes = this.#bytes;
    const nameToken = lexer.next();
    if (nameToken !== "MNAME")
      throw this.#unexpected(`expected metric name after ${what}`, nameToken);
    const isQuoted = bytes[lexer.start] === 34;
    const nameStart = lexer.start + (isQuoted ? 1 : 0);
    const nameEnd = lexer.position - (isQuoted ? 1 : 0);
    const textToken = lexer.next();
    if (textToken !== "TEXT")
      throw this.#fail(
        `expected text in ${what}${this.#format === "text" ? `, got ${textToken}` : ""}`,
      );
    const isOpenMetrics = this.#format === "openmetrics";
    const textStart = Math.min(lexer.start + 1, lexer.position);
    const textEnd = isOpenMetrics ? Math.max(textStart, lexer.position - 1) : lexer.position;
    let kind = 0;
    if (what === "TYPE") kind = this.#kind(textStart, textEnd);
    if (what === "HELP" && !isValidUtf8(bytes, textStart, textEnd))
      throw this.#fail(
        `help text ${quoteBytes(bytes, textStart, textEnd)} is not a valid utf8 string`,
      );
    if (what === "UNIT") {
      const name = this.#text.toString("utf8", nameStart, nameEnd);
      const unit = this.#text.toString("utf8", textStart, textEnd);
      if (unit !== "" && !name.endsWith(`_${unit}`))
        throw this.#fail(
          `unit ${quoteBytes(bytes, textStart, textEnd)} not a suffix of metric ${quoteBytes(bytes, nameStart, nameEnd)}`,
        );
    }
    if (!isOpenMetrics) {
      const after = lexer.next();
      if (after !== "LINEBREAK") throw this.#unexpected("linebreak expected after metadata", after);
    }
    const index = into.addMetadata();
    into.metadataWhat[index] =
      what === "TYPE" ? METADATA_TYPE : what === "HELP" ? METADATA_HELP : METADATA_UNIT;
    into.metadataKind[index] = kind;
    into.metadataNameStart[index] = nameStart;
    into.metadataNameEnd[index] = nameEnd;
    into.metadataTextStart[index] = textStart;
    into.metadataTextEnd[index] = textEnd;
    if (what === "TYPE") this.kind = kind;
  }

  #kind(start: number, end: number): number {
    const word = this.#text.toString("latin1", start, end);
    const known =
      this.#format === "openmetrics"
        ? METRIC_KINDS.findIndex((kind) => kind === word)
        : ["untyped", "counter", "gauge", "histogram", "summary"].indexOf(word);
    if (known < 0) throw this.#fail(`invalid metric type ${quoteBytes(this.#bytes, start, end)}`);
    return known;
  }

  /** The labels after an opening brace, up to and with the closing one. */
  #labels(isExemplar: boolean): void {
    const lexer = this.#lexer;
    let token = lexer.next();
    for (;;) {
      if (token === "BCLOSE") return;
      if (token !== "LNAME" && token !== "QSTRING")
        throw this.#unexpected("expected label name", token);
      const { start, position } = lexer;
      token = lexer.next();
      // A quoted text followed by a comma or the closing brace is the metric's name.
      if (token === "COMMA" || token === "BCLOSE") {
        if (isExemplar) throw this.#unexpected("expected label name", token);
        if (this.#named)
          throw this.#fail(
            `metric name already set while parsing: ${quoteBytes(this.#bytes, this.#start, lexer.position)}`,
          );
        if (this.#bytes[start] !== 34) throw this.#unexpected("expected equal", token);
        this.#named = true;
        this.#checkUtf8(start, position, "name");
        if (token === "BCLOSE") return;
        token = lexer.next();
        continue;
      }
      this.#checkUtf8(start, position, "name");
      if (token !== "EQUAL") throw this.#unexpected("expected equal", token);
      const value = lexer.next();
      if (value !== "LVALUE") throw this.#unexpected("expected label value", value);
      this.#checkUtf8(lexer.start, lexer.position, "label value");
      token = lexer.next();
      if (token === "COMMA") token = lexer.next();
      else if (this.#format === "openmetrics" && token !== "BCLOSE")
        throw this.#unexpected("expected comma or brace close", token);
    }
  }

  #checkUtf8(start: number, end: number, what: string): void {
    if (!isValidUtf8(this.#bytes, start, end))
      throw this.#fail(`invalid UTF-8 ${what}: ${quoteBytes(this.#bytes, start, end)}`);
  }

  #sample(into: ParsedColumns, at: { seriesEnd: number; token: Token }): void {
    const lexer = this.#lexer;
    if (!this.#named)
      throw this.#fail(
        `metric name not set while parsing: ${quoteBytes(this.#bytes, this.#start, lexer.position)}`,
      );
    const i = into.count;
    into.reserve(i + 1);
    const value = this.#value(at.token, "metric");
    if (value === value) into.values[i] = value;
    else writeNormalNaN(into.values, i);
    into.seriesStart[i] = this.#seriesStart;
    into.seriesEnd[i] = at.seriesEnd;
    into.kinds[i] = this.kind;
    into.hasTimestamp[i] = 0;
    into.timestamps[i] = 0;
    if (this.#format === "openmetrics") this.#openMetricsTail(into, i);
    else this.#textTail(into, i);
    into.lineEnd[i] = lexer.position;
    into.count++;
  }

  #textTail(into: ParsedColumns, i: number): void {
    const lexer = this.#lexer;
    const token = lexer.next();
    if (token === "LINEBREAK") return;
    if (token !== "TIMESTAMP") throw this.#unexpected("expected timestamp or new record", token);
    const digits = this.#text.toString("latin1", lexer.start, lexer.position);
    if (BigInt(digits) > 9_223_372_036_854_775_807n)
      throw this.#failParsing(`strconv.ParseInt: parsing "${digits}": value out of range`);
    into.hasTimestamp[i] = 1;
    into.timestamps[i] = Number(digits);
    const after = lexer.next();
    if (after !== "LINEBREAK") throw this.#unexpected("expected next entry after timestamp", after);
  }

  #openMetricsTail(into: ParsedColumns, i: number): void {
    const lexer = this.#lexer;
    let token = lexer.next();
    if (token === "TIMESTAMP") {
      into.timestamps[i] = this.#seconds();
      into.hasTimestamp[i] = 1;
      token = lexer.next();
      if (token !== "LINEBREAK" && token !== "COMMENT" && token !== "EOF")
        throw this.#unexpected("expected next entry after timestamp", token);
    }
    if (token === "LINEBREAK") return;
    if (token === "EOF") throw this.#fail("data does not end with # EOF");
    if (token !== "COMMENT") throw this.#unexpected("expected timestamp or new record", token);
    this.#exemplar(into, i);
  }

  #exemplar(into: ParsedColumns, sample: number): void {
    const lexer = this.#lexer;
    const labelsStart = lexer.position - 1;
    this.#labels(true);
    const labelsEnd = lexer.position;
    const value = this.#value(lexer.next(), "exemplar labels");
    let token = lexer.next();
    let timestampMs: number | undefined;
    if (token === "TIMESTAMP") {
      timestampMs = this.#seconds();
      token = lexer.next();
      if (token !== "LINEBREAK" && token !== "EOF")
        throw this.#unexpected("expected next entry after exemplar timestamp", token);
    }
    if (token === "EOF") throw this.#fail("data does not end with # EOF");
    if (token !== "LINEBREAK") throw this.#unexpected("expected timestamp or comment", token);
    const index = into.addExemplar();
    into.exemplarSample[index] = sample;
    into.exemplarLabelsStart[index] = labelsStart;
    into.exemplarLabelsEnd[index] = labelsEnd;
    if (value === value) into.exemplarValues[index] = value;
    else writeNormalNaN(into.exemplarValues, index);
    into.exemplarHasTimestamp[index] = timestampMs === undefined ? 0 : 1;
    into.exemplarTimestamps[index] = timestampMs ?? 0;
  }

  /** The float of the VALUE token just read. */
  #value(token: Token, after: string): number {
    if (token !== "VALUE") throw this.#unexpected(`expected value after ${after}`, token);
    return this.#float();
  }

  /** The OpenMetrics TIMESTAMP token just read, in ms rounded towards zero. */
  #seconds(): number {
    const seconds = this.#float();
    if (!Number.isFinite(seconds))
      throw this.#fail(
        `invalid timestamp ${Number.isNaN(seconds) ? "NaN" : seconds > 0 ? "+Inf" : "-Inf"}`,
      );
    return Math.trunc(seconds * 1000);
  }

  #float(): number {
    const lexer = this.#lexer;
    // An OpenMetrics token starts with its blank.
    const start = lexer.start + (this.#format === "openmetrics" ? 1 : 0);
    const value = parseFloatBytes(this.#bytes, this.#text, { start, end: lexer.position });
    if (value === undefined)
      throw this.#failParsing(
        floatError(
          this.#text.toString("latin1", start, lexer.position),
          quoteBytes(this.#bytes, start, lexer.position),
        ),
      );
    return value;
  }

  #unexpected(expected: string, got: Token): AppError {
    const end = Math.min(this.#lexer.position + 1, this.#length);
    return this.#fail(
      `${expected}, got ${quoteBytes(this.#bytes, this.#lexer.start, end)} ("${got}") while parsing: ${quoteBytes(this.#bytes, this.#start, end)}`,
    );
  }

  #failParsing(message: string): AppError {
    return this.#fail(
      `${message} while parsing: ${quoteBytes(this.#bytes, this.#start, this.#lexer.position)}`,
    );
  }

  #fail(message: string): AppError {
    let line = 1;
    for (let i = 0; i < this.#start; i++) if (this.#bytes[i] === 10) line++;
    return new AppError("bad-data", `${message} (line ${line})`);
  }
}
