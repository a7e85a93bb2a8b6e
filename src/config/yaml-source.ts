import {
  Composer,
  Lexer,
  isAlias,
  isCollection,
  isPair,
  Parser,
  type Alias,
  type CST,
  type Node,
} from "yaml";
import { ConfigError, type Problem } from "./config-error.ts";
import { excerptOf } from "./excerpt.ts";

/**
 * A YAML file as a tree with positions. Scalars keep their source text (`010` and `yes` stay as written): what they
 * mean is decided by the field they go into, as Prometheus does. Only the first document of a stream counts.
 */
export interface YamlSource {
  readonly path: string;
  readonly text: string;
  /** Undefined for a file that holds nothing. */
  readonly root: Node | undefined;
  /** What each alias stands for: the last anchor of that name before it. */
  readonly anchors: ReadonlyMap<Alias, Node>;
  problem(range: OffsetRange, message: string, help?: string): Problem;
}

/** UTF-16 offsets into the text, the end exclusive. */
export interface OffsetRange {
  readonly start: number;
  readonly end: number;
}

export interface YamlLimits {
  /** Longest text in UTF-16 units. Default 64 Mi. */
  readonly maxConfigSize?: number;
  /** Most tokens: words, punctuation and spaces. Default 4 million; a parsed token takes about 300 bytes of memory. */
  readonly maxTokens?: number;
  /** Deepest nesting of lists and maps. Default 100; Prometheus's own files need about 10. */
  readonly maxNesting?: number;
}

export const DEFAULT_MAX_CONFIG_SIZE = 64 * 1024 * 1024;
export const DEFAULT_MAX_TOKENS = 4_000_000;
export const DEFAULT_MAX_NESTING = 100;

/** Parses `text`; throws ConfigError for what is not YAML or is over a limit. */
export function parseYamlSource(text: string, path: string, limits: YamlLimits = {}): YamlSource {
  const maxSize = limits.maxConfigSize ?? DEFAULT_MAX_CONFIG_SIZE;
  let lineStarts: number[] | undefined;
  const source = {
    path,
    text,
    problem(range: OffsetRange, message: string, help?: string): Problem {
      // An error at the end of the text is shown at the last thing that is there.
      const end = text.trimEnd().length;
      const start = range.start > end ? Math.max(0, end - 1) : range.start;
      lineStarts ??= lineStartsOf(text);
      const index = lineAt(lineStarts, start);
      const lineStart = lineStarts[index]!;
      const line = text.slice(lineStart, lineStarts[index + 1]).replace(/\r?\n$/, "");
      const column = start - lineStart + 1;
      const excerpt = excerptOf(line, { column, width: range.end - start });
      return { file: path, line: index + 1, column, message, help, excerpt };
    },
  };
  if (text.length > maxSize)
    throw new ConfigError([
      {
        file: path,
        line: 1,
        column: 1,
        message: `the file has ${text.length} characters; the limit is ${maxSize}`,
        help: TOO_LARGE,
      },
    ]);
  refuseControlCharacters(source);

  const tokens = tokenize(source, limits.maxTokens ?? DEFAULT_MAX_TOKENS);
  refuseDeepNesting(tokens, source, limits.maxNesting ?? DEFAULT_MAX_NESTING);
  const composer = new Composer({
    schema: "failsafe",
    version: "1.1",
    prettyErrors: false,
    uniqueKeys: false, // found later, where the message can name the section
    logLevel: "silent",
  });
  const document = composer.compose(tokens, true, text.length).next().value;
  if (document === undefined) return { ...source, root: undefined, anchors: new Map() };
  if (document.errors.length > 0)
    throw new ConfigError(
      document.errors.map((error) =>
        source.problem(
          { start: error.pos[0], end: error.pos[1] },
          error.code === "TAB_AS_INDENT" || /tab/i.test(error.message)
            ? "a tab is used for indentation"
            : `this is not valid YAML: ${firstLine(error.message)}`,
          error.code === "TAB_AS_INDENT" || /tab/i.test(error.message)
            ? "YAML is indented with spaces only: replace the tab with spaces"
            : YAML_HELP[error.code],
        ),
      ),
    );
  const root = document.contents ?? undefined;
  return { ...source, root, anchors: resolveAnchors(source, root) };
}

const TOO_LARGE =
  "split it with scrape_config_files, or generate targets into file_sd_configs files";

const YAML_HELP: Readonly<Record<string, string | undefined>> = {
  BAD_INDENT: "line the entry up with the other entries of its list or map",
  MULTILINE_IMPLICIT_KEY: 'a key ends with ":" on its own line; is a ":" missing or a quote open?',
  MISSING_CHAR: "a quote, bracket or brace that is opened must be closed",
  BLOCK_AS_IMPLICIT_KEY: 'a value after "key:" cannot hold another "key: value" on the same line',
  UNEXPECTED_TOKEN: "check the quotes, brackets and indentation of this line and the one above",
};

function firstLine(message: string): string {
  return message.split("\n", 1)[0]!;
}

/** Offsets at which the lines of `text` start. */
function lineStartsOf(text: string): number[] {
  const starts = [0];
  for (let i = text.indexOf("\n"); i >= 0; i = text.indexOf("\n", i + 1)) starts.push(i + 1);
  return starts;
}

/** The index of the last start that is not after `offset`. */
function lineAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** What YAML calls unprintable, which Prometheus refuses too. */
// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const UNPRINTABLE = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/;

function refuseControlCharacters(source: Pick<YamlSource, "text" | "problem">): void {
  const found = UNPRINTABLE.exec(source.text);
  if (found === null) return;
  const code = found[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  throw new ConfigError([
    source.problem(
      { start: found.index, end: found.index + 1 },
      `the control character U+${code} is not allowed`,
      "remove it, or write it as an escape inside double quotes",
    ),
  ]);
}

/** The marks that the lexer puts between the pieces of the text. */
const LEXER_MARKS: ReadonlySet<string> = new Set(["\x02", "\x18", "\x1f"]);

/** The text's concrete syntax, refused while it grows beyond `maxTokens`. */
function tokenize(source: Pick<YamlSource, "text" | "problem">, maxTokens: number): CST.Token[] {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  let count = 0;
  let offset = 0;
  for (const lexeme of new Lexer().lex(source.text)) {
    if (++count > maxTokens)
      throw new ConfigError([
        source.problem(
          { start: offset, end: offset + 1 },
          `the file has more than ${maxTokens} tokens`,
          TOO_LARGE,
        ),
      ]);
    if (!LEXER_MARKS.has(lexeme)) offset += lexeme.length;
    for (const token of parser.next(lexeme)) tokens.push(token);
  }
  for (const token of parser.end()) tokens.push(token);
  return tokens;
}

/** The tree is composed recursively, so depth is checked on the flat tokens before, without recursion. */
function refuseDeepNesting(
  tokens: readonly CST.Token[],
  source: Pick<YamlSource, "problem">,
  maxNesting: number,
): void {
  const pending: { token: CST.Token | CST.SourceToken; depth: number }[] = [];
  for (const token of tokens) pending.push({ token, depth: 0 });
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { token, depth } = next;
    if (depth > maxNesting)
      throw new ConfigError([
        source.problem(
          { start: token.offset, end: token.offset + 1 },
          `lists and maps are nested more than ${maxNesting} deep`,
        ),
      ]);
    if (token.type === "document" && token.value !== undefined)
      pending.push({ token: token.value, depth });
    else if ("items" in token)
      for (const item of token.items) {
        if (item.key != null) pending.push({ token: item.key, depth: depth + 1 });
        if (item.value !== undefined) pending.push({ token: item.value, depth: depth + 1 });
      }
  }
}

function resolveAnchors(
  source: Pick<YamlSource, "problem">,
  root: Node | undefined,
): Map<Alias, Node> {
  const byName = new Map<string, Node>();
  const resolved = new Map<Alias, Node>();
  const visit = (node: unknown): void => {
    if (isAlias(node)) {
      const target = byName.get(node.source);
      if (target !== undefined) resolved.set(node, target);
      else throw new ConfigError([unknownAnchor(source, node)]);
    } else if (isPair(node)) {
      visit(node.key);
      visit(node.value);
    } else if (isCollection(node)) {
      if (node.anchor !== undefined) byName.set(node.anchor, node);
      for (const item of node.items) visit(item);
    } else if (isNodeWithAnchor(node)) byName.set(node.anchor, node);
  };
  visit(root);
  return resolved;
}

function isNodeWithAnchor(node: unknown): node is Node & { anchor: string } {
  return typeof node === "object" && node !== null && "anchor" in node && node.anchor !== undefined;
}

function unknownAnchor(source: Pick<YamlSource, "problem">, alias: Alias): Problem {
  const [start, end] = alias.range ?? [0, 0];
  return source.problem(
    { start, end },
    `unknown anchor "${alias.source}" referenced`,
    `define it before use with &${alias.source}`,
  );
}
