/**
 * Real parts for tests: Prometheus, promtool, Alertmanager and node_exporter, extracted (not installed) from Debian's
 * unstable packages into .parts/, and a Chromium for the page's tests. Where a part cannot be had, one line says so and
 * the tests that need it are skipped; with CI=true that is an error instead.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command } from "./command.ts";

const PACKAGES = ["prometheus", "promtool", "prometheus-alertmanager", "prometheus-node-exporter"];
const PROGRAMS = [
  "prometheus",
  "promtool",
  "prometheus-alertmanager",
  "amtool",
  "prometheus-node-exporter",
];
const CHROMIUM_PATHS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Environment for tests that need real parts: `SHOAL_PARTS` and `SHOAL_CHROMIUM`, each only where it was found. */
export function fetchParts(root: string): Record<string, string> {
  const environment: Record<string, string> = {};
  const folder = process.env["SHOAL_PARTS"] ?? join(root, ".parts");
  if (!PROGRAMS.every((program) => existsSync(join(folder, "root/usr/bin", program)))) {
    console.error("── real parts: fetching Prometheus, promtool, Alertmanager and node_exporter");
    attempt("the tests beside a real Prometheus", () => extractPackages(folder));
  }
  if (PROGRAMS.every((program) => existsSync(join(folder, "root/usr/bin", program))))
    environment["SHOAL_PARTS"] = folder;
  const chromium = findChromium() ?? attempt("the page's tests in a browser", installChromium);
  if (chromium !== undefined) environment["SHOAL_CHROMIUM"] = chromium;
  return environment;
}

/** The real Prometheus for `npm run demo -- --engine=prometheus`, fetched on first use. Throws when it cannot be had. */
export function prometheusPath(root: string): string {
  const folder = process.env["SHOAL_PARTS"] ?? join(root, ".parts");
  const path = join(folder, "root/usr/bin/prometheus");
  if (!existsSync(path)) {
    console.error("shoal: fetching the real Prometheus …");
    extractPackages(folder);
  }
  return path;
}

/** Runs `action`; a failure skips what needs it, or ends a CI run. */
function attempt<T>(skipped: string, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    console.error(`── real parts: skipping ${skipped}: ${reason}`);
    if (process.env["CI"] === "true") process.exit(1);
    return undefined;
  }
}

/** Downloads and unpacks the packages with a private apt state, so that nothing on the machine changes. */
function extractPackages(folder: string): void {
  const work = `${folder}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
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
  writeFileSync(
    join(work, "apt/sources.list"),
    `deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror} sid main\n`,
  );
  const apt = [
    ["Dir::Etc::SourceList", join(work, "apt/sources.list")],
    ["Dir::Etc::SourceParts", "/dev/null"],
    ["Dir::Cache", join(work, "apt/cache")],
    ["Dir::State::Lists", join(work, "apt/lists")],
    ["APT::Sandbox::User", "root"],
  ].flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  try {
    command("apt-get", [...apt, "update", "-qq"]);
    command("apt-get", [...apt, "download", "-qq", ...PACKAGES], { cwd: join(work, "debs") });
    for (const deb of readdirSync(join(work, "debs")))
      command("dpkg-deb", ["-x", join(work, "debs", deb), join(work, "root")]);
    // Beside them may be parts that take longer to make.
    rmSync(join(folder, "root"), { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    renameSync(join(work, "root"), join(folder, "root"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function findChromium(): string | undefined {
  const named = process.env["SHOAL_CHROMIUM"];
  return named ?? CHROMIUM_PATHS.find((path) => existsSync(path));
}

function installChromium(): string | undefined {
  if (process.getuid?.() !== 0)
    throw new Error("no Chromium here, and installing one needs root (apt-get install chromium)");
  console.error("── real parts: installing Chromium");
  const environment = { DEBIAN_FRONTEND: "noninteractive" };
  command("apt-get", ["update", "-qq"], { environment });
  command("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], {
    environment,
  });
  return findChromium();
}
