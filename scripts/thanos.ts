/**
 * The real Thanos for `npm run test:thanos`: `SHOAL_THANOS`, or one in PATH, or one that is built from its Go module into
 * .parts/ (some minutes, and a Go of at least 1.26).
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { command } from "./command.ts";

const MODULE = "github.com/thanos-io/thanos";
const VERSION = "v0.42.4";

/** Throws when there is none and it cannot be built. */
export function thanosPath(root: string): string {
  const named = process.env["SHOAL_THANOS"];
  if (named !== undefined && named !== "") return named;
  const inPath = (process.env["PATH"] ?? "")
    .split(delimiter)
    .map((folder) => join(folder, "thanos"))
    .find((path) => existsSync(path));
  if (inPath !== undefined) return inPath;
  const folder = join(process.env["SHOAL_PARTS"] ?? join(root, ".parts"), `thanos-${VERSION}`);
  const path = join(folder, "thanos");
  if (!existsSync(path)) build(folder, path);
  return path;
}

/** Its go.mod replaces modules, which `go install` refuses: so a module with the same go.mod builds it. */
function build(folder: string, path: string): void {
  console.error(`── building Thanos ${VERSION}: this takes some minutes, once`);
  const work = `${folder}.build`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(work, "go.mod"), "module interop\n");
  const { Dir: source } = JSON.parse(
    go(work, ["mod", "download", "-json", `${MODULE}@${VERSION}`]),
  ) as { Dir: string };
  const text = readFileSync(join(source, "go.mod"), "utf8");
  writeFileSync(join(work, "go.mod"), text.replace(/^module .*/m, "module interop"));
  copyFileSync(join(source, "go.sum"), join(work, "go.sum"));
  go(work, ["mod", "edit", `-require=${MODULE}@${VERSION}`]);
  const flags = ["-mod=mod", "-buildvcs=false", "-trimpath", "-tags=slicelabels", "-ldflags=-s -w"];
  go(work, ["build", ...flags, "-o", path, `${MODULE}/cmd/thanos`]);
  rmSync(work, { recursive: true, force: true });
}

function go(folder: string, args: readonly string[]): string {
  return command("go", args, { cwd: folder });
}
