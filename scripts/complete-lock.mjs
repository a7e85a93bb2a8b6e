// Completes package-lock.json after `npm install`: drops download addresses, and adds the optional packages of other
// platforms that the registry mirror in use did not know (npm ci refuses a lock without them, though it never installs them).
import { readFileSync, writeFileSync } from "node:fs";

const path = process.argv[2] ?? "package-lock.json";
const lock = JSON.parse(readFileSync(path, "utf8"));
for (const entry of Object.values(lock.packages)) {
  delete entry.resolved;
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const key = `node_modules/${name}`;
    if (lock.packages[key] !== undefined) continue;
    const os =
      /android|darwin|freebsd|openharmony|win32|linux|netbsd|openbsd|sunos|aix|wasm32/.exec(
        name,
      )?.[0];
    const cpu = /arm64|arm|ia32|x64|ppc64|riscv64|s390x|loong64|mips64el|wasm32/.exec(
      name.replace(/win32/, ""),
    )?.[0];
    lock.packages[key] = {
      version,
      ...(cpu && { cpu: [cpu] }),
      dev: true,
      optional: true,
      ...(os && { os: [os] }),
    };
  }
}
lock.packages = Object.fromEntries(
  Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1)),
);
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
