import { isAlias, isMap, isScalar, isSeq, Scalar, type Node } from "yaml";
import { ConfigError, type Problem } from "./config-error.ts";
import type { OffsetRange, YamlSource } from "./yaml-source.ts";

/** Where a decoded object stands in its file, to report what is wrong with it as a whole or with one of its keys. */
export interface Where {
  /** Reports at the value of `key` (or its element `index`), or at the object's start when the key is absent. */
  fail(key: string | undefined, message: string, options?: FailOptions): void;
  has(key: string): boolean;
}

export interface ReportOptions {
  readonly help?: string | undefined;
  /** The line is not shown. */
  readonly isSecret?: boolean;
}

export interface FailOptions {
  readonly help?: string;
  readonly index?: number;
}

/** A mapping's entries with aliases resolved and `<<` merged, in the order they apply. */
export interface Entry {
  readonly key: string;
  readonly keyNode: Node;
  readonly value: Node;
}

/** Past these counts a document whose share of aliased nodes is too high is refused (the "billion laughs"). */
const ALIAS_CHECK_FROM = 1000;
const MAX_ALIASED_SHARE = 0.99;
const MAX_NODES = 4_000_000;

/** How many problems of one file are gathered. */
const MAX_PROBLEMS = 1000;

/** Reads nodes of one file: resolves aliases, guards against alias bombs and gathers every problem found. */
export class Reader {
  readonly source: YamlSource;
  readonly baseFolder: string;
  readonly problems: Problem[] = [];
  readonly #where = new WeakMap<object, Where>();
  readonly #open = new Set<Node>();
  #nodeCount = 0;
  #aliasedCount = 0;
  #aliasDepth = 0;

  constructor(source: YamlSource, baseFolder: string) {
    this.source = source;
    this.baseFolder = baseFolder;
  }

  report(node: Node | OffsetRange, message: string, options: ReportOptions = {}): void {
    // Who has a thousand problems has one: the rest would only take time.
    if (this.problems.length >= MAX_PROBLEMS) return;
    const problem = this.source.problem(rangeOf(node), message, options.help);
    this.problems.push(options.isSecret === true ? { ...problem, excerpt: undefined } : problem);
  }

  throwIfAny(): void {
    if (this.problems.length === 0) return;
    const order = (problem: Problem): number => problem.line * 1e6 + problem.column;
    throw new ConfigError(this.problems.toSorted((a, b) => order(a) - order(b)));
  }

  remember(object: object, where: Where): void {
    this.#where.set(object, where);
  }

  /** Where `object`, which this reader decoded, stands. */
  where(object: object): Where {
    return (
      this.#where.get(object) ?? {
        fail: (_, message) => this.report(WHOLE_FILE, message),
        has: () => false,
      }
    );
  }

  /** Calls `read` with what `node` stands for, an alias being replaced by its anchor's node. */
  resolve<T>(node: Node, read: (resolved: Node) => T): T {
    this.#nodeCount++;
    if (this.#aliasDepth > 0) this.#aliasedCount++;
    this.#refuseAliasBomb(node);
    const target = isAlias(node) ? this.source.anchors.get(node) : undefined;
    if (target === undefined) {
      this.#open.add(node);
      const value = read(node);
      this.#open.delete(node);
      return value;
    }
    if (this.#open.has(target)) this.#stop(node, "an anchor's value contains itself");
    this.#aliasDepth++;
    const value = this.resolve(target, read);
    this.#aliasDepth--;
    return value;
  }

  #refuseAliasBomb(node: Node): void {
    const count = this.#nodeCount;
    if (this.#aliasedCount < ALIAS_CHECK_FROM) return;
    // As Prometheus's YAML library: small documents may be nearly all aliases, large ones less and less.
    const span = Math.min(1, Math.max(0, (count - 400_000) / 3_600_000));
    const allowed = MAX_ALIASED_SHARE - span * (MAX_ALIASED_SHARE - 0.1);
    if (count > MAX_NODES || this.#aliasedCount / count > allowed)
      this.#stop(node, "the document contains excessive aliasing");
  }

  /** Ends reading at once: what follows cannot be read safely. */
  #stop(node: Node, message: string): never {
    throw new ConfigError([...this.problems, this.source.problem(rangeOf(node), message)]);
  }
}

const WHOLE_FILE: OffsetRange = { start: 0, end: 1 };

export function rangeOf(node: Node | OffsetRange): OffsetRange {
  if ("start" in node) return node;
  const [start, end] = node.range ?? [0, 1, 1];
  return { start, end };
}

/** Nothing, `~` or `null`, unquoted: the value that stands for "not set". */
export function isNull(node: Node): boolean {
  return (
    isScalar(node) &&
    node.type === Scalar.PLAIN &&
    (node.tag === undefined || node.tag === "tag:yaml.org,2002:null") &&
    NULLS.has(String(node.value))
  );
}

const NULLS: ReadonlySet<string> = new Set(["", "~", "null", "Null", "NULL"]);

/** For messages: what a value is, in words. */
export function describe(node: Node): string {
  if (isMap(node)) return "a map (key: value)";
  if (isSeq(node)) return "a list";
  return isNull(node) ? "nothing" : "a single value";
}
