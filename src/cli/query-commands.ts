import type { Command } from "commander";
import { AppError } from "../base/errors.ts";

interface Flags {
  readonly format: string;
  readonly "http.config.file": string;
  readonly header: readonly string[];
  readonly match: readonly string[];
  readonly time?: string;
  readonly start?: string;
  readonly end?: string;
  readonly step?: string;
}

interface Question {
  readonly path: string;
  readonly method?: "POST";
  readonly parameters: readonly (readonly [name: string, value: string | undefined])[];
  readonly show: "result" | "series" | "lines";
}

const RANGE_DEFAULT_S = 5 * 60;
/** Points of a range when no step is given. */
const RANGE_POINTS = 250;

/**
 * Adds `query instant|range|series|labels|label-values SERVER …`, promtool's questions to any server of Prometheus's HTTP
 * API, beside the role of the same name.
 */
export function registerQuestions(query: Command): void {
  question(query, "instant", "ask for a value at one time", "<expression>").option(
    "--time <time>",
    "RFC 3339 or seconds since 1970; default is now",
  );
  const range = question(query, "range", "ask for values over time", "<expression>");
  times(range).option(
    "--step <duration>",
    `time between points; default is ${RANGE_POINTS} points`,
  );
  times(matching(question(query, "series", "list series")));
  times(
    matching(question(query, "labels", "list label names, or the values of one label", "[label]")),
  );
  times(matching(question(query, "label-values", "list the values of a label", "<label>")));
}

function question(query: Command, name: string, description: string, argument?: string): Command {
  const command = query
    .command(name)
    .description(description)
    .argument("<server>", "such as http://127.0.0.1:9090");
  if (argument !== undefined) command.argument(argument);
  return command
    .option("-o, --format <format>", "promql or json", "promql")
    .option("--http.config.file <path>", "a file with the HTTP client's settings", "")
    .option("--header <name=value>", "a header to send; may be repeated", collect, [])
    .action(async (server: string, subject: string | undefined) => {
      const flags: Flags = { match: [], ...command.opts<Omit<Flags, "match">>() };
      const asked = subject === undefined || typeof subject !== "string" ? "" : subject;
      await ask(server, questionOf(name, asked, flags), flags);
    });
}

function times(command: Command): Command {
  return command
    .option("--start <time>", "RFC 3339 or seconds since 1970")
    .option("--end <time>", "RFC 3339 or seconds since 1970");
}

function matching(command: Command): Command {
  return command.option("--match <selector>", "series to look at; may be repeated", collect, []);
}

function collect(value: string, values: readonly string[]): readonly string[] {
  return [...values, value];
}

function questionOf(name: string, subject: string, flags: Flags): Question {
  const { start, end } = flags;
  const matches = flags.match.map((selector) => ["match[]", selector] as const);
  const window = [["start", start] as const, ["end", end] as const];
  switch (name) {
    case "instant":
      return {
        path: "/api/v1/query",
        method: "POST",
        parameters: [
          ["query", subject],
          ["time", flags.time],
        ],
        show: "result",
      };
    case "range":
      return {
        path: "/api/v1/query_range",
        method: "POST",
        parameters: [["query", subject], ...rangeOf(flags)],
        show: "result",
      };
    case "series":
      if (matches.length === 0)
        throw new AppError("bad-data", "cannot list series: give one --match=SELECTOR or more");
      return { path: "/api/v1/series", parameters: [...matches, ...window], show: "series" };
    default: {
      const path =
        subject === "" ? "labels" : `label/${encodeURIComponent(escaped(subject))}/values`;
      return { path: `/api/v1/${path}`, parameters: [...matches, ...window], show: "lines" };
    }
  }
}

/** Label names that are no plain names travel in Prometheus's own escaping. */
function escaped(label: string): string {
  if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(label)) return label;
  return `U__${Array.from(label, (c) =>
    c === "_" ? "__" : /[A-Za-z0-9]/.test(c) ? c : `_${c.codePointAt(0)!.toString(16)}_`,
  ).join("")}`;
}

/** Both ends and the step of a range; what is not given follows from what is. */
function rangeOf(flags: Flags): [string, string][] {
  const end = flags.end === undefined ? Date.now() / 1000 : secondsOf("end", flags.end);
  const start = flags.start === undefined ? end - RANGE_DEFAULT_S : secondsOf("start", flags.start);
  if (start > end)
    throw new AppError("bad-data", "cannot ask for a range: --start is later than --end");
  const step = flags.step ?? String(Math.max(1, Math.floor((end - start) / RANGE_POINTS)));
  return [
    ["start", String(start)],
    ["end", String(end)],
    ["step", step],
  ];
}

function secondsOf(flag: string, text: string): number {
  const seconds = text.trim() === "" ? Number.NaN : Number(text);
  const time = Number.isFinite(seconds) ? seconds : Date.parse(text) / 1000;
  if (Number.isNaN(time))
    throw new AppError(
      "bad-data",
      `cannot read --${flag}=${text}: give seconds since 1970, or a time like 2026-11-01T00:00:00Z`,
    );
  return time;
}

async function ask(server: string, asked: Question, flags: Flags): Promise<void> {
  if (flags.format !== "promql" && flags.format !== "json")
    throw new AppError("bad-data", `cannot print as ${flags.format}: formats are promql and json`);
  const { askServer } = await import("./query-client.ts");
  const { linesText, resultText, seriesText } = await import("./query-text.ts");
  const parameters = new URLSearchParams();
  for (const [name, value] of asked.parameters)
    if (value !== undefined) parameters.append(name, value);
  const options = {
    server,
    httpConfigFile: flags["http.config.file"],
    headers: flags.header.map(headerOf),
  };
  const answer = await askServer(options, asked.path, parameters, asked.method);
  for (const warning of answer.warnings) console.error(`Warning: ${warning}`);
  for (const info of answer.infos) console.error(`Info: ${info}`);
  const show = { result: resultText, series: seriesText, lines: linesText }[asked.show];
  const text = flags.format === "json" ? JSON.stringify(jsonOf(answer.data)) : show(answer.data);
  if (text !== "" || asked.show === "result") console.log(text);
}

/** promtool prints a result without its type. */
function jsonOf(data: unknown): unknown {
  return typeof data === "object" && data !== null && "result" in data ? data.result : data;
}

function headerOf(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at <= 0)
    throw new AppError("bad-data", `cannot send header ${JSON.stringify(text)}: give name=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
