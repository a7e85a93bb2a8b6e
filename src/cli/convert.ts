import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { Command } from "commander";
import { systemClock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import {
  convertArguments,
  type Conversion,
  convertManifests,
  type KvassRole,
} from "./convert-kvass.ts";
import { convertShardFile } from "./convert-shard-file.ts";

interface ConvertOptions {
  readonly from: string;
  readonly output?: string;
  readonly image: string;
  readonly config?: string;
}

/**
 * `shoal convert --from kvass FILE…` or `-- coordinator --flag…`, and `--from kvass-shard-file`. Exit 1 when something
 * cannot be converted.
 */
export function registerConvert(program: Command): void {
  program
    .command("convert")
    .description("Turn Kvass's Kubernetes manifests or command lines into Shoal's.")
    .argument(
      "<what...>",
      "manifest files, or after -- a command line: coordinator|sidecar --flag=value …",
    )
    .requiredOption(
      "--from <what>",
      "kvass, or kvass-shard-file: a kvass-shard.json as the target list that shoal sidecar makes of it",
    )
    .option("--config <file>", "for kvass-shard-file: the prometheus.yml with its jobs")
    .option("--output <folder>", "write each file there instead of to stdout")
    .option("--image <image>", "the image that containers get", `shoal:${VERSION}`)
    .action(async (what: string[], options: ConvertOptions) => {
      if (!(await convert(what, options))) process.exitCode = 1;
    });
}

async function convert(what: readonly string[], options: ConvertOptions): Promise<boolean> {
  if (options.from !== "kvass" && options.from !== "kvass-shard-file")
    throw new AppError(
      "bad-data",
      `cannot convert from ${options.from}: kvass and kvass-shard-file are known`,
    );
  const words = what[0] === "kvass" ? what.slice(1) : what;
  const [first] = words;
  if (first === "coordinator" || first === "sidecar") return convertLine(first, words.slice(1));
  let isWhole = true;
  for (const path of what) {
    const { text, notes, errors } = await convertFile(path, options);
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

async function convertFile(path: string, options: ConvertOptions): Promise<Conversion> {
  const text = read(path);
  if (options.from === "kvass") return convertManifests(text, { path, image: options.image });
  if (options.config === undefined)
    throw new AppError(
      "bad-data",
      "cannot read Kvass's target lists without their jobs: name the prometheus.yml with --config",
    );
  return convertShardFile(text, { configFile: options.config, nowMs: systemClock.now() });
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
