import type { Command } from "commander";
import { AppError, messageOf } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { expressionToJson } from "../promql/ast-json.ts";
import { parseExpression, type ParserOptions } from "../promql/parser.ts";
import { formatQuery } from "../promql/prettier.ts";

/** What `--enable-feature` names, as in Prometheus. */
const FEATURES: ReadonlyMap<string, keyof ParserOptions> = new Map([
  ["promql-experimental-functions", "experimentalFunctions"],
  ["promql-extended-range-selectors", "extendedRangeSelectors"],
  ["promql-binop-fill-modifiers", "fillModifiers"],
]);

/** Adds `promql format QUERY` and `promql parse QUERY`: the query laid out, and its tree as JSON. */
export function registerPromql(program: Command): void {
  const promql =
    program.commands.find((command) => command.name() === "promql") ??
    program.command("promql").description("work with PromQL queries, no server needed");
  addQueryCommand(promql, "format", {
    description: "print a query in its standard layout",
    show: (query, options) => formatQuery(query, options),
  });
  addQueryCommand(promql, "parse", {
    description: "print a query's tree as JSON",
    show: (query, options) =>
      JSON.stringify(expressionToJson(parseExpression(query, options)), null, 2),
  });
}

function addQueryCommand(
  parent: Command,
  name: string,
  task: { description: string; show: (query: string, options: ParserOptions) => string },
): void {
  parent
    .command(name)
    .description(task.description)
    .argument("<query>", "a PromQL expression")
    .option(
      "--enable-feature <names>",
      `experimental parts of the language, separated by commas: ${[...FEATURES.keys()].join(", ")}`,
    )
    .action((query: string, flags: { enableFeature?: string }) => {
      try {
        console.log(task.show(query, parserOptions(flags.enableFeature ?? "")));
      } catch (error) {
        console.error(messageOf(error));
        process.exitCode = 1;
      }
    });
}

function parserOptions(features: string): ParserOptions {
  const options: Partial<Record<keyof ParserOptions, boolean>> = {};
  for (const feature of features.split(",").map((name) => name.trim())) {
    if (feature === "") continue;
    const option = FEATURES.get(feature);
    if (option === undefined)
      throw new AppError(
        "bad-data",
        `cannot enable ${quote(feature)}: there are ${[...FEATURES.keys()].join(", ")}`,
      );
    options[option] = true;
  }
  return options;
}
