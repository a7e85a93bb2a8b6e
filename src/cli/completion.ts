import { type Command, Argument } from "commander";

const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

interface Completable {
  /** Words after `shoal`, "" for the program itself. */
  readonly path: string;
  readonly description: string;
  readonly words: readonly {
    readonly text: string;
    readonly help: string;
    readonly isFlag: boolean;
  }[];
}

/** `shoal completion bash|zsh|fish` prints a script that the shell can source. */
export function registerCompletion(program: Command): void {
  program
    .command("completion")
    .description("Print a completion script: source <(shoal completion bash)")
    .addArgument(new Argument("<shell>", "the shell it is for").choices(SHELLS))
    .action((shell: Shell) => {
      const commands = describe(program, "");
      const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell];
      process.stdout.write(script(commands));
    });
}

function describe(command: Command, path: string): Completable[] {
  const visible = command.createHelp().visibleCommands(command);
  const children = visible.filter((child) => child.name() !== "help");
  const words = [
    ...children.map((child) => ({ text: child.name(), help: child.description(), isFlag: false })),
    ...command
      .createHelp()
      .visibleOptions(command)
      .map((option) => ({
        text: option.long ?? option.short ?? "",
        help: option.description,
        isFlag: true,
      })),
  ];
  const own: Completable = { path, description: command.description(), words };
  return [own, ...children.flatMap((child) => describe(child, `${path} ${child.name()}`.trim()))];
}

function bashScript(commands: readonly Completable[]): string {
  const cases = commands
    .map(
      ({ path, words }) => `    "${path}") words="${words.map((word) => word.text).join(" ")}" ;;`,
    )
    .join("\n");
  return `# Completion of shoal for bash: source <(shoal completion bash)
_shoal() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" words="" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${COMP_WORDS[i]}" in
      -* | =) ;;
      *) path="\${path:+$path }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$path" in
${cases}
  esac
  if [[ "$current" != -* ]]; then COMPREPLY=($(compgen -W "\${words//--[a-z.-]*/}" -- "$current") $(compgen -f -- "$current"))
  else COMPREPLY=($(compgen -W "$words" -- "$current")); fi
}
complete -o default -F _shoal shoal
`;
}

function zshScript(commands: readonly Completable[]): string {
  const cases = commands
    .map(({ path, words }) => {
      const entries = words.map((word) => `      ${shellQuote(`${word.text}:${word.help}`)}`);
      return `    ${shellQuote(path)}) choices=(\n${entries.join("\n")}\n    ) ;;`;
    })
    .join("\n");
  return `#compdef shoal
# Completion of shoal for zsh: source <(shoal completion zsh)
_shoal() {
  local -a choices
  local path="" word
  for word in "\${(@)words[2,CURRENT-1]}"; do [[ "$word" == -* ]] || path="\${path:+$path }$word"; done
  case "$path" in
${cases}
  esac
  _describe -o shoal choices
  _files
}
compdef _shoal shoal
`;
}

function fishScript(commands: readonly Completable[]): string {
  const lines = commands.flatMap(({ path, words }) => {
    const names = path.split(" ").filter((name) => name !== "");
    const condition =
      names.length === 0
        ? "__fish_use_subcommand"
        : names.map((name) => `__fish_seen_subcommand_from ${name}`).join("; and ");
    return words.map((word) => {
      const what = word.isFlag ? `-l ${word.text.replace(/^-+/, "")}` : `-f -a ${word.text}`;
      return `complete -c shoal -n ${shellQuote(condition)} ${what} -d ${shellQuote(word.help)}`;
    });
  });
  return `# Completion of shoal for fish: shoal completion fish | source\n${lines.join("\n")}\n`;
}

function shellQuote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
