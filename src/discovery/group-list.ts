import { parseDocument } from "yaml";
import { AppError, messageOf } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import { isValidLabelName } from "../model/labels.ts";
import type { TargetGroup } from "../model/target.ts";

/** A group as files and HTTP endpoints write it: `{"targets": ["host:port"], "labels": {"name": "value"}}`. */
export interface ListedGroup {
  readonly targets: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

/** Parses a JSON list of groups; throws `bad-data` saying what is wrong. */
export function parseJsonGroups(text: string): ListedGroup[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new AppError("bad-data", `cannot parse JSON: ${messageOf(error)}`, { cause: error });
  }
  return readGroups(value);
}

/** Parses a YAML list of groups. Scalars keep their source text, as Prometheus reads them into strings. */
export function parseYamlGroups(text: string): ListedGroup[] {
  const document = parseDocument(text, { schema: "failsafe", uniqueKeys: true });
  const [problem] = document.errors;
  if (problem !== undefined)
    throw new AppError("bad-data", `cannot parse YAML: ${problem.message.split("\n")[0]}`, {
      cause: problem,
    });
  const value: unknown = document.toJS();
  // An empty file is an empty list.
  return readGroups(value === "" ? null : value);
}

/** The listed groups as target groups of `origin` (a file or URL), each with `label` set to it. */
export function toTargetGroups(
  groups: readonly ListedGroup[],
  origin: { readonly name: string; readonly label: string },
): TargetGroup[] {
  return groups.map((group, index) => ({
    source: `${origin.name}:${index}`,
    labels: { ...group.labels, [origin.label]: origin.name },
    targets: group.targets.map((target) => ({ __address__: target })),
  }));
}

function readGroups(value: unknown): ListedGroup[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new AppError("bad-data", "not a list of target groups");
  return value.map((item: unknown, index) => readGroup(item, index));
}

function readGroup(item: unknown, index: number): ListedGroup {
  if (item === null || item === "")
    throw new AppError("bad-data", `nil target group item found (index ${index})`);
  if (typeof item !== "object" || Array.isArray(item))
    throw new AppError("bad-data", `target group ${index} is not an object`);
  let targets: readonly string[] = [];
  let labels: Readonly<Record<string, string>> = {};
  for (const [key, value] of Object.entries(item) as [string, unknown][])
    if (key === "targets") targets = readTargets(value, index);
    else if (key === "labels") labels = readLabels(value, index);
    else throw new AppError("bad-data", `unknown field ${quote(key)} in target group ${index}`);
  return { targets, labels };
}

function readTargets(value: unknown, index: number): readonly string[] {
  if (value === null || value === "") return [];
  if (!Array.isArray(value) || !value.every((target) => typeof target === "string"))
    throw new AppError("bad-data", `targets of target group ${index} are not a list of strings`);
  return value;
}

function readLabels(value: unknown, index: number): Readonly<Record<string, string>> {
  if (value === null || value === "") return {};
  if (typeof value !== "object" || Array.isArray(value))
    throw new AppError("bad-data", `labels of target group ${index} are not an object`);
  const pairs: [string, string][] = [];
  for (const [name, text] of Object.entries(value as object) as [string, unknown][]) {
    if (!isValidLabelName(name))
      throw new AppError("bad-data", `${quote(name)} is not a valid label name`);
    if (typeof text !== "string")
      throw new AppError(
        "bad-data",
        `label ${quote(name)} of target group ${index} is not a string`,
      );
    pairs.push([name, text]);
  }
  return Object.fromEntries(pairs);
}
