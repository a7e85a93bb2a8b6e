import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { AppError, messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import { convertArguments, convertManifests, type KvassRole } from "./convert-kvass.ts";

interface ConvertOptions {
  readonly from: string;
  readonly output?: string;
  readonly image: string;
}

/** `shoal convert --from kvass FILE…` or `-- coordinator --flag…`. Exit 1 when something cannot be converted. */
export function registerConvert(program: Command): void {
  program
    .command("convert")
    .description("Turn Kvass's Kubernetes manifests or command lines into Shoal's.")
    .argument(
      "<what...>",
      "manifest files, or after -- a command line: coordinator|sidecar --flag=value …",
    )
    .requiredOption("--from <system>", "what it is of: kvass")
    .option("--output <folder>", "write each file there instead of to stdout")
    .option("--image <image>", "the image that containers get", `shoal:${VERSION}`)
    .action((what: string[], options: ConvertOptions) => {
      if (!convert(what, options)) process.exitCode = 1;
    });
}

function convert(what: readonly string[], options: ConvertOptions): boolean {
  if (options.from !== "kvass")
    throw new AppError("bad-data", `cannot convert from ${options.from}: kvass is known`);
  const words = what[0] === "kvass" ? what.slice(1) : what;
  const [first] = words;
  if (first === "coordinator" || first === "sidecar") return convertLine(first, words.slice(1));
  let isWhole = true;
  for (const path of what) {
    const { text, notes, errors } = convertManifests(read(path), { path, image: options.image });
    if (options.output === undefined) process.stdout.write(text);
    else {
      mkdirSync(options.output, { recursive: true });
      writeFileSync(join(options.output, basename(path)), text);
    }
    tell(path, notes, errors);
    if (errors.length > 0) isWhole = false;
  }
  return isWhole;
}

function convertLine(role: KvassRole, args: readonly string[]): boolean {
  const converted = convertArguments(role, args);
  const quoted = converted.args.map((arg) =>
    /^[\w./=:@%+,-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", `'\\''`)}'`,
  );
  process.stdout.write(`${["shoal", role, ...quoted].join(" \\\n  ")}\n`);
  tell("", converted.notes, converted.errors);
  return converted.errors.length === 0;
}

function tell(path: string, notes: readonly string[], errors: readonly string[]): void {
  const where = path === "" ? "" : `${path}: `;
  for (const note of new Set(notes)) process.stderr.write(`${where}note: ${note}\n`);
  for (const error of new Set(errors)) process.stderr.write(`${where}error: ${error}\n`);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new AppError("bad-data", `cannot read ${path}: ${messageOf(error)}`);
  }
}
