import type { Command } from "commander";
import { messageOf } from "../base/errors.ts";
import { expressionToJson } from "../promql/ast-json.ts";
import { parseExpression, type ParserOptions } from "../promql/parser.ts";
import { formatQuery } from "../promql/prettier.ts";
import { FEATURE_FLAGS, parserOptions } from "./feature-flags.ts";
import { addFlags, flagValues } from "./flags.ts";

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
  const command = parent
    .command(name)
    .description(task.description)
    .argument("<query>", "a PromQL expression")
    .action((query: string) => {
      const { features } = flagValues(FEATURE_FLAGS, command.opts());
      try {
        console.log(task.show(query, parserOptions(features)));
      } catch (error) {
        console.error(messageOf(error));
        process.exitCode = 1;
      }
    });
  addFlags(command, FEATURE_FLAGS);
}
