import {
  isMap,
  isScalar,
  isSeq,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
  YAMLSeq,
} from "yaml";
import { AppError } from "../base/errors.ts";
import { COORDINATOR_ROLE_FLAGS } from "./commands.ts";
import { convertRole } from "./convert-rbac.ts";
import type { FlagTable } from "./flags.ts";
import { SIDECAR_FLAGS } from "./sidecar-flags.ts";

/** Kvass's command lines and Kubernetes manifests as ours; all that is not Kvass's stays as it is. */

export type KvassRole = "coordinator" | "sidecar";

export interface Conversion {
  readonly text: string;
  /** What is different now, or has to be looked at. */
  readonly notes: readonly string[];
  /** What cannot be converted. */
  readonly errors: readonly string[];
}

/** Values that Kvass takes when nothing is said, and we do not. */
const KVASS_DEFAULTS: Record<KvassRole, readonly (readonly [flag: string, value: string])[]> = {
  coordinator: [
    ["web.listen-address", ":9090"],
    ["shard.type", "k8s"],
    ["shard.selector", "app.kubernetes.io/name=prometheus"],
    // Kvass always reloads on POST /-/reload, which reloaders beside it count on.
    ["web.enable-lifecycle", "true"],
  ],
  sidecar: [
    ["web.listen-address", ":8080"],
    ["config.file", "/etc/prometheus/config_out/prometheus.env.yaml"],
    ["config.output-file", "/etc/prometheus/config_out/prometheus_injected.yaml"],
    ["store.path", "/prometheus/"],
  ],
};

const TABLES: Record<KvassRole, FlagTable> = {
  coordinator: COORDINATOR_ROLE_FLAGS,
  sidecar: SIDECAR_FLAGS,
};

/** `args` after the role, as `--name=value` or `--name value`. */
export function convertArguments(
  role: KvassRole,
  args: readonly string[],
): { readonly args: readonly string[]; readonly notes: string[]; readonly errors: string[] } {
  const given = new Map<string, string>();
  const notes: string[] = [];
  const errors: string[] = [];
  const flags = Object.values(TABLES[role]);
  for (let i = 0; i < args.length; i++) {
    const [, written, text] = /^--([^=\s]+)(?:=([\s\S]*))?$/.exec(args[i]!.trim()) ?? [];
    const flag = flags.find(({ name, alias }) => name === written || alias === written);
    if (written === undefined || flag === undefined) {
      errors.push(`${role}: cannot convert ${args[i]}: there is no such flag`);
      continue;
    }
    const isApart = text === undefined && flag.placeholder !== "";
    const value = isApart ? (args[++i] ?? "") : (text ?? "true");
    if (flag.noEffect !== undefined)
      notes.push(`${role}: --${written} is left out: ${flag.noEffect}`);
    else given.set(flag.name, value);
    if (flag.name !== written) notes.push(`${role}: --${written} is --${flag.name} now`);
  }
  const isAgent = role === "sidecar" && given.get("shard.fetch-head-series") === "false";
  if (isAgent) given.set("delivery", "proxy");
  else
    for (const name of ["web.proxy-addr", "inject.proxy"])
      if (given.delete(name))
        notes.push(`${role}: --${name} is left out: Prometheus asks its targets itself`);
  const isStatic = given.has("shard.static-file") && given.get("shard.type") !== "k8s";
  for (const [name, value] of KVASS_DEFAULTS[role]) {
    if (given.has(name) || (isStatic && name.startsWith("shard."))) continue;
    given.set(name, value);
    notes.push(`${role}: --${name}=${value} is written out: it is Kvass's default and not ours`);
  }
  if (role === "coordinator" && !isStatic && !given.has("shard.delete-pvc"))
    notes.push(
      "coordinator: volume claims of removed shards are kept; Kvass deletes them at once (--shard.delete-pvc deletes them when their data is safe)",
    );
  for (const [name, value] of given)
    if (name === "web.listen-address" && /^(?::|0\.0\.0\.0:|\[::\]:)/.test(value))
      notes.push(
        `${role}: ${value} is open to everybody who reaches the pod, without authentication: restrict it by a network policy`,
      );
  return { args: [...given].map(([name, value]) => `--${name}=${value}`), notes, errors };
}

/** One manifest file of any number of documents; comments, order and all that is not Kvass's stay. */
export function convertManifests(
  text: string,
  options: { readonly path: string; readonly image: string },
): Conversion {
  const notes: string[] = [];
  const errors: string[] = [];
  const documents = parseAllDocuments(text);
  if (!Array.isArray(documents)) return { text, notes, errors };
  for (const document of documents) {
    const [problem] = document.errors;
    if (problem !== undefined)
      throw new AppError(
        "bad-data",
        `cannot read ${options.path}: ${problem.message.split("\n")[0]}`,
      );
    const pod: unknown = document.getIn(["spec", "template", "spec"]);
    if (isMap(pod)) convertPod(pod, { image: options.image, notes, errors });
    notes.push(...convertRole(document));
  }
  const printed = documents.map((document) =>
    document.toString({ lineWidth: 0, flowCollectionPadding: false }),
  );
  return { text: notes.length + errors.length === 0 ? text : printed.join(""), notes, errors };
}

interface PodContext {
  readonly image: string;
  readonly notes: string[];
  readonly errors: string[];
}

function convertPod(pod: YAMLMap, context: PodContext): void {
  const containers: unknown = pod.get("containers", true);
  if (!isSeq(containers)) return;
  const maps = containers.items.filter(isMap);
  const hasThanos = maps.some((one) => /thanos/.test(textOf(one.get("image", true))));
  for (const container of maps) {
    if (!/kvass/.test(textOf(container.get("image", true)))) continue;
    const role = convertContainer(container, { ...context, hasThanos });
    if (role === "sidecar") lookAtVolumes(pod, context);
  }
}

function convertContainer(
  container: YAMLMap,
  context: PodContext & { hasThanos: boolean },
): KvassRole | undefined {
  const { notes, errors, image, hasThanos } = context;
  const list: unknown = container.get("args", true) ?? container.get("command", true);
  const items = isSeq(list) ? list.items.filter(isScalar) : [];
  const words = items.map((item) => textOf(item));
  const at = words.findIndex((word) => word === "coordinator" || word === "sidecar");
  if (at < 0) {
    errors.push("a container of Kvass has neither coordinator nor sidecar among its args");
    return undefined;
  }
  const role = words[at] as KvassRole;
  const converted = convertArguments(role, words.slice(at + 1));
  errors.push(...converted.errors);
  notes.push(...converted.notes);
  const args = [...converted.args];
  if (role === "sidecar" && hasThanos && !args.some((arg) => arg.startsWith("--grpc-address"))) {
    args.push("--grpc-address=127.0.0.1:10911");
    notes.push("sidecar: --grpc-address=127.0.0.1:10911: the Thanos sidecar has port 10901");
  }
  setArguments(container, role, { words: [role, ...args], items });
  if (/:latest$|^[^:]*$/.test(textOf(container.get("image", true))))
    notes.push(
      `${role}: the image had no fixed version; ${image} has to be one that your cluster can pull`,
    );
  container.set("image", image);
  return role;
}

/** Writes the new words where the old ones were, each with the comments of the old one of its name. */
function setArguments(
  container: YAMLMap,
  role: KvassRole,
  { words, items }: { readonly words: readonly string[]; readonly items: readonly Scalar[] },
): void {
  const next = new YAMLSeq();
  const known = new Map(items.map((item) => [nameOf(textOf(item), role), item]));
  for (const word of words) {
    const item = containerScalar(word);
    const { comment, commentBefore, spaceBefore } = known.get(nameOf(word, role)) ?? {};
    if (comment) item.comment = comment;
    if (commentBefore) item.commentBefore = commentBefore;
    if (spaceBefore) item.spaceBefore = spaceBefore;
    next.items.push(item);
  }
  const pair =
    container.items.find(({ key }) => isScalar(key) && key.value === "args") ??
    container.items.find(({ key }) => isScalar(key) && key.value === "command");
  const list = pair?.value;
  if (pair === undefined || !isSeq(list)) throw new Error("BUG: the words were found in a list");
  next.flow = list.flow ?? false;
  if (list.comment) next.comment = list.comment;
  if (list.commentBefore) next.commentBefore = list.commentBefore;
  // Shoal's image begins with its own command.
  if (isScalar(pair.key)) pair.key.value = "args";
  pair.value = next;
  container.delete("command");
}

function containerScalar(word: string): Scalar {
  const [document] = parseAllDocuments(JSON.stringify(word));
  const scalar = (document as { contents: unknown }).contents;
  if (!isScalar(scalar)) throw new Error("BUG: quoted text is a scalar");
  if (/^[\w-][\w./=:@%+-]*$/.test(word)) scalar.type = "PLAIN";
  return scalar;
}

/** What a word is about, under our name of it. */
function nameOf(word: string, role: KvassRole): string {
  const written = word.replace(/=[\s\S]*$/, "");
  const flag = Object.values(TABLES[role]).find(({ alias }) => `--${alias ?? ""}` === written);
  return flag === undefined ? written : `--${flag.name}`;
}

/** The sidecar's list of targets must outlive the pod. */
function lookAtVolumes(pod: YAMLMap, { notes }: PodContext): void {
  const volumes: unknown = pod.get("volumes", true);
  if (!isSeq(volumes)) return;
  for (const volume of volumes.items.filter(isMap))
    if (volume.has("emptyDir") && textOf(volume.get("name", true)) === "data")
      notes.push(
        "sidecar: the volume data is an emptyDir: targets and samples are lost with the pod; use a volumeClaimTemplate",
      );
}

function textOf(node: unknown): string {
  return isScalar(node) ? String(node.value) : "";
}
