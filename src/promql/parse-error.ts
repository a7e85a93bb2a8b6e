import { AppError } from "../base/errors.ts";
import type { Position } from "./ast.ts";

/** Where an offset of a query lies for a reader: both 1-based, columns counted in UTF-8 bytes as Prometheus counts them. */
interface LineColumn {
  readonly line: number;
  readonly column: number;
}

/** A query that is not PromQL; the message is Prometheus's own, `line:column: parse error: reason`. */
export class ParseError extends AppError {
  readonly line: number;
  readonly column: number;
  readonly position: Position;
  /** The message without its place. */
  readonly reason: string;

  constructor(text: string, position: Position, reason: string) {
    const { line, column } = lineColumnOf(text, position.start);
    const place = text === "" ? "unknown position" : `${line}:${column}`;
    super("bad-data", `${place}: parse error: ${reason}`);
    this.name = "ParseError";
    this.line = line;
    this.column = column;
    this.position = position;
    this.reason = reason;
  }
}

/** The line and column of UTF-16 offset `offset` in `text`. */
function lineColumnOf(text: string, offset: number): LineColumn {
  let line = 1;
  let column = 1;
  for (let i = 0; i < offset && i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === 0x0a) {
      line++;
      column = 1;
    } else column += utf8SizeAt(unit);
  }
  return { line, column };
}

/** UTF-8 bytes of one UTF-16 unit; both halves of a surrogate pair count two. */
function utf8SizeAt(unit: number): number {
  if (unit < 0x80) return 1;
  if (unit < 0x800 || (unit >= 0xd800 && unit < 0xe000)) return 2;
  return 3;
}
