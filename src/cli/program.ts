import { Command, CommanderError } from "commander";
import { AppError, messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { registerRoles } from "./commands.ts";
import { registerCompletion } from "./completion.ts";
import { spellSwitches } from "./flags.ts";
import { registerTools } from "./tools.ts";
import { registerVersion } from "./version.ts";

/** Exit codes: 0 done, 1 it did not work, 2 the command line is wrong. */
export const EXIT_FAILURE = 1;
export const EXIT_USAGE = 2;

/** Commands that need nothing of the tools: long-running processes that stay small without them. */
const ROLES = new Set([
  "up",
  "demo",
  "coordinator",
  "shard",
  "sidecar",
  "query",
  "version",
  "demo-exporter",
  "demo-exporters",
]);

/** The command line as commander commands; nothing of a role is loaded before it runs. */
export async function createProgram(wanted: string | undefined): Promise<Command> {
  const program = new Command("shoal")
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error:/, "shoal:")) })
    .description(
      "Prometheus that scales out: one prometheus.yml, as many shards as the load needs, one query over all.",
    )
    .version(VERSION, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .showSuggestionAfterError()
    .configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 110) })
    .exitOverride();
  registerRoles(program);
  if (wanted === undefined || !ROLES.has(wanted)) await registerTools(program);
  registerVersion(program);
  registerCompletion(program);
  for (const command of everyCommand(program)) {
    command.exitOverride().allowExcessArguments(false);
    command.configureHelp({ helpWidth: Math.min(process.stdout.columns ?? 100, 110) });
  }
  return program;
}

export function everyCommand(command: Command): Command[] {
  return [command, ...command.commands.flatMap(everyCommand)];
}

/** The command that `args` are for. */
function commandOf(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const word of args) {
    const next = command.commands.find((one) => one.name() === word);
    if (next === undefined) break;
    command = next;
  }
  return command;
}

/** Runs one command line and ends the process with its exit code. */
export async function run(args: readonly string[]): Promise<void> {
  // Whoever reads our output may leave (a pager, a parent that was killed): that is no reason to die.
  process.stdout.on("error", () => {});
  process.stderr.on("error", () => {});
  try {
    const program = await createProgram(args[0]);
    if (args.length === 0) program.help({ error: true });
    await program.parseAsync(spellSwitches(commandOf(program, args), args), { from: "user" });
  } catch (error) {
    process.exitCode = report(error);
  }
  // Kept-alive connections and timers of a finished role must not hold the process.
  process.exit();
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    // Commander has already printed the message or the help.
    if (error.exitCode === 0) return 0;
    return EXIT_USAGE;
  }
  if (error instanceof AppError) {
    process.stderr.write(`shoal: ${error.message}${causeOf(error)}\n`);
    return EXIT_FAILURE;
  }
  process.stderr.write(
    `shoal: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return EXIT_FAILURE;
}

function causeOf(error: AppError): string {
  if (error.cause === undefined || error.message.includes(": ")) return "";
  const cause = messageOf(error.cause);
  return cause === "" || error.message.includes(cause) ? "" : `: ${cause}`;
}
