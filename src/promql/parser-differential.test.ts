import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";
import { messageOf } from "../base/errors.ts";
import { expressionToJson } from "./ast-json.ts";
import { parseExpression } from "./parser.ts";
import { formatQuery } from "./prettier.ts";
import { queries } from "./testing/random-query.ts";

/** Each is one or two small requests to a real Prometheus. */
const LEGAL_QUERIES = 400;
const MUTANTS = 1200;
const SEED = 20_260_821;
const OPTIONS = { experimentalFunctions: true };

/** What 3.14 has and 3.5 has not, or prints in another way; and `offset NaN`, which Prometheus prints as nonsense. */
const YOUNGER_THAN_3_5 =
  /offset\s+[-+\s]*nan|anchored|smoothed|fill|(?:start|end)\s*\(|step|range|min_of|max_of|<\/|>\/|offset\s*[-+]*\s*\(|\[[^\]]*[(,]|\[[^\]]*[^\dm][a-z_]|ignoring\s*\(\s*\)\s*group|first_over_time|info\(|quantiles|start_timestamp|"[a-z.]*[.:][a-z.]*"\s*[,)]|on\s*\([^)]*:/i;

void test(
  "random legal and broken queries: the verdict, layout and tree of a real Prometheus",
  { skip: skipWithoutParts() },
  async () => {
    const prometheus = await startPrometheus({
      config: "global: {}\n",
      flags: ["--enable-feature=promql-experimental-functions,promql-duration-expr"],
    });
    assert.ok(prometheus !== undefined);
    try {
      const compared = { legal: 0, broken: 0 };
      const asked = [
        ...fc.sample(queries, { numRuns: LEGAL_QUERIES, seed: SEED }),
        ...fc.sample(mutants(), { numRuns: MUTANTS, seed: SEED }),
      ].filter((query) => !YOUNGER_THAN_3_5.test(query));
      for (const query of asked) {
        const want = await ask(`${prometheus.url}/api/v1/format_query`, query);
        assert.equal(ours(query), newerWording(want.data ?? want.error), query);
        if (want.data === undefined) compared.broken++;
        else {
          compared.legal++;
          const tree = await ask(`${prometheus.url}/api/v1/parse_query`, query);
          const mine = withoutYoungerKeys(expressionToJson(parseExpression(query, OPTIONS)));
          assert.deepEqual(mine, tree.data, query);
        }
      }
      assert.ok(compared.legal > 200 && compared.broken > 200, "enough was compared");
    } finally {
      await prometheus.stop();
    }
  },
);

function ours(query: string): string {
  try {
    return formatQuery(query, OPTIONS);
  } catch (error) {
    return `invalid parameter "query": ${messageOf(error)}`;
  }
}

interface Answer {
  readonly data?: string;
  readonly error: string;
}

async function ask(url: string, query: string): Promise<Answer> {
  const response = await fetch(url, { method: "POST", body: new URLSearchParams({ query }) });
  return (await response.json()) as Answer;
}

/** The texts that changed since 3.5. */
function newerWording(message: string): string {
  return message
    .replace('"<Item 57400>" <op:@>', "<op:@>")
    .replace(
      / in subquery selector, expected number or duration$/,
      " in subquery or range selector, expected number, duration, step(), or range()",
    )
    .replace(
      / in subquery selector, expected number or duration or "\]"$/,
      ' in subquery selector, expected number, duration, step(), range(), or "]"',
    )
    .replace(
      / in offset, expected number or duration$/,
      " in offset, expected number, duration, step(), or range()",
    );
}

const YOUNGER_KEYS: ReadonlySet<string> = new Set([
  "anchored",
  "smoothed",
  "rangeExpr",
  "offsetExpr",
  "stepExpr",
  "fillValues",
]);

function withoutYoungerKeys(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree), (key, value: unknown) =>
    YOUNGER_KEYS.has(key) ? undefined : value,
  );
}

/** Queries of the verdict table with words taken out, put in, or exchanged. */
function mutants(): fc.Arbitrary<string> {
  const table = readFileSync(new URL("testdata/verdicts-3.5.txt", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("> ") && !line.startsWith('> "'))
    .map((line) => line.slice(2).match(/"[^"]*"|[\w:.]+|\s+|[<>=!]=|=~|!~|./g) ?? []);
  const query = fc.constantFrom(...table);
  const word = fc.constantFrom(...new Set(table.flat()));
  const edit = fc.tuple(fc.nat(30), fc.constantFrom("remove", "insert", "replace"), word);
  return fc.tuple(query, fc.array(edit, { minLength: 1, maxLength: 3 })).map(([words, edits]) => {
    const edited = [...words];
    for (const [at, how, other] of edits) {
      const index = at % (edited.length + 1);
      if (how === "remove") edited.splice(index, 1);
      else edited.splice(index, how === "insert" ? 0 : 1, other);
    }
    return edited.join("");
  });
}
