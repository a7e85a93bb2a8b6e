/**
 * Compiles a Kubernetes control plane for tests. Debian has etcd as a package and Kubernetes only as source, so v1.20.2 is
 * compiled once (five minutes on two idle cores) with the Go that Debian released beside it. Nothing on the machine
 * changes: all is done in one folder.
 */
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { command } from "./command.ts";

const VERSION = "1.20.2";
const GO_PACKAGES = ["golang-1.19-go", "golang-1.19-src"];
const COMPONENTS = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
const PROGRAMS = ["etcd", ...COMPONENTS] as const;

function isBuilt(folder: string): boolean {
  return PROGRAMS.every((program) => existsSync(join(folder, "bin", program)));
}

/** Compiles the control plane into `folder`/bin unless it is there. Throws with the command that failed. */
export function buildControlPlane(folder: string): void {
  if (isBuilt(folder)) return;
  console.error("── compiling a Kubernetes control plane, once: about five minutes on two cores");
  const work = `${folder}.${process.pid}`;
  try {
    const go = join(work, "go");
    const source = join(work, "gopath/src/k8s.io/kubernetes");
    const bin = join(work, "bin");
    for (const sub of [bin, go, dirname(source)]) mkdirSync(sub, { recursive: true });
    fetchSources(work, go, dirname(source), source);
    cpSync(join(go, "usr/bin/etcd"), join(bin, "etcd"));
    compile(source, { work, go, bin });
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    renameSync(bin, join(folder, "bin"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads with a private apt state: Go and etcd as packages, Kubernetes as source. */
function fetchSources(work: string, go: string, parent: string, source: string): void {
  const debs = join(work, "debs");
  for (const sub of ["apt/cache/archives/partial", "apt/lists/partial", "debs"])
    mkdirSync(join(work, sub), { recursive: true });
  const mirror = command("apt-get", [
    "indextargets",
    "--format",
    "$(REPO_URI)",
    "Created-By: Packages",
  ])
    .split("\n")
    .find((line) => /\/debian\/?$/.test(line));
  if (mirror === undefined) throw new Error("apt knows no Debian mirror");
  const origin = `[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror} bookworm main`;
  writeFileSync(join(work, "apt/sources.list"), `deb ${origin}\ndeb-src ${origin}\n`);
  const apt = [
    ["Dir::Etc::SourceList", join(work, "apt/sources.list")],
    ["Dir::Etc::SourceParts", "/dev/null"],
    ["Dir::Cache", join(work, "apt/cache")],
    ["Dir::State::Lists", join(work, "apt/lists")],
    ["APT::Sandbox::User", "root"],
  ].flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  command("apt-get", [...apt, "update", "-qq"]);
  command("apt-get", [...apt, "download", "-qq", ...GO_PACKAGES, "etcd-server"], { cwd: debs });
  command("apt-get", [...apt, "source", "-qq", "--download-only", "kubernetes"], { cwd: debs });
  for (const file of readdirSync(debs)) {
    if (file.endsWith(".deb")) command("dpkg-deb", ["-x", join(debs, file), go]);
    if (file.includes(".orig.tar.")) command("tar", ["xf", join(debs, file), "-C", parent]);
  }
  renameSync(join(parent, `kubernetes-${VERSION}`), source);
}

function compile(source: string, folders: { work: string; go: string; bin: string }): void {
  const goRoot = join(folders.go, "usr/lib/go-1.19");
  const environment = {
    PATH: `${join(goRoot, "bin")}:${process.env["PATH"]}`,
    GOROOT: goRoot,
    GOPATH: join(folders.work, "gopath"),
    GOCACHE: join(folders.work, "gocache"),
    GO111MODULE: "off",
    GOPROXY: "off",
    GOFLAGS: "",
    CGO_ENABLED: "0",
  };
  const goBuild = (program: string, from: string, ...flags: string[]): string =>
    command("go", ["build", ...flags, "-o", join(folders.bin, program), from], {
      cwd: source,
      environment,
    });
  // The source package lacks the API description that the server is compiled with: it is generated first.
  goBuild("openapi-gen", "./vendor/k8s.io/kube-openapi/cmd/openapi-gen");
  command(
    join(folders.bin, "openapi-gen"),
    [
      "-O=zz_generated.openapi",
      "-h=hack/boilerplate/boilerplate.generatego.txt",
      "-p=k8s.io/kubernetes/pkg/generated/openapi",
      "-r=/dev/null",
      `-i=${describedPackages(source).join(",")}`,
    ],
    { cwd: source, environment },
  );
  rmSync(join(folders.bin, "openapi-gen"));
  setVersion(join(source, "staging/src/k8s.io/component-base/version/base.go"));
  for (const component of COMPONENTS) goBuild(component, `./cmd/${component}`, "-ldflags=-s -w");
}

/** What the server says it is; clients decide by it what they may ask. */
function setVersion(file: string): void {
  const [major, minor] = VERSION.split(".");
  const text = readFileSync(file, "utf8");
  const changed = text
    .replace(/^(\s*gitMajor)\s+string\b/m, `$1 = "${major}"`)
    .replace(/^(\s*gitMinor)\s+string\b/m, `$1 = "${minor}"`)
    .replace(/^(\s*gitVersion)\b.*?=\s*"[^"]*"/m, `$1 = "v${VERSION}"`);
  if (!changed.includes(`"v${VERSION}"`)) throw new Error(`cannot set the version in ${file}`);
  writeFileSync(file, changed);
}

/** Import paths of all packages whose types the API description covers. */
function describedPackages(source: string): string[] {
  const folders = new Set<string>();
  for (const file of globSync("{staging/src/k8s.io,pkg,cmd}/**/*.go", { cwd: source })) {
    if (/sample|code-generator|kube-openapi|\/test/.test(dirname(file))) continue;
    if (readFileSync(join(source, file), "utf8").includes("+k8s:openapi-gen="))
      folders.add(dirname(file));
  }
  return [...folders].sort().map((folder) => {
    const isStaged = folder.startsWith("staging/src/");
    return `k8s.io/kubernetes/${isStaged ? folder.replace("staging/src", "vendor") : folder}`;
  });
}
