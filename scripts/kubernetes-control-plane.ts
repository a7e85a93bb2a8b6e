/**
 * A real Kubernetes control plane for tests: etcd, kube-apiserver with RBAC, kube-controller-manager and kube-scheduler on
 * free loopback ports, with its data in a temporary folder. There is no kubelet and no volume provisioner: whoever needs
 * nodes, volumes and running pods writes them. So that nodes need no heartbeats, nobody watches their health.
 *
 *   node scripts/kubernetes-control-plane.ts        serves until Ctrl-C; prints the path of its kubeconfig
 */
import { type ChildProcess, spawn } from "node:child_process";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../src/base/free-port.ts";
import { buildControlPlane } from "./kubernetes-build.ts";

const READY_TIMEOUT_MS = 60_000;
const STATUS_TIMEOUT_MS = 5_000;
const STOP_TIMEOUT_MS = 10_000;
/** How often other ports are tried when a program says that somebody has taken its port. */
const PORT_TRIES = 5;

export interface ControlPlane {
  readonly url: string;
  /** Of a cluster administrator. */
  readonly token: string;
  /** What the server's certificate is signed by, PEM. */
  readonly caFile: string;
  /** Path of a kubeconfig for the administrator. */
  readonly kubeconfig: string;
  /** The API server does not answer while `action` runs. */
  pauseApiServer(action: () => Promise<void>): Promise<void>;
  stop(): Promise<void>;
}

/** Where the task runner keeps the compiled programs. */
export function controlPlaneFolder(): string {
  const root = dirname(dirname(fileURLToPath(import.meta.url)));
  return join(process.env["SHOAL_PARTS"] ?? join(root, ".parts"), "kubernetes");
}

/** Starts a control plane of its own from the programs in `folder`/bin; resolves when it is ready. */
export async function startControlPlane(
  folder = controlPlaneFolder(),
  choosePort = freePort,
): Promise<ControlPlane> {
  for (let tries = 1; ; tries++)
    try {
      const ports = { etcd: await choosePort(), peer: await choosePort(), api: await choosePort() };
      return await startOnPorts(folder, ports);
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes("address already in use");
      if (!isTaken || tries === PORT_TRIES) throw error;
    }
}

async function startOnPorts(
  folder: string,
  ports: { readonly etcd: number; readonly peer: number; readonly api: number },
): Promise<ControlPlane> {
  const data = mkdtempSync(join(tmpdir(), "shoal-kubernetes-"));
  const url = `https://127.0.0.1:${ports.api}`;
  const token = randomUUID();
  const children = new Map<string, ChildProcess>();
  const start = (program: string, args: readonly string[]): void => {
    const log = openSync(join(data, `${program}.log`), "a");
    const child = spawn(join(folder, "bin", program), args, {
      cwd: data,
      stdio: ["ignore", log, log],
    });
    children.set(program, child);
  };
  const stop = async (): Promise<void> => {
    for (const child of [...children.values()].reverse()) await stopChild(child);
    rmSync(data, { recursive: true, force: true });
  };
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const keyFile = join(data, "service-accounts.key");
  writeFileSync(keyFile, privateKey.export({ type: "pkcs1", format: "pem" }), { mode: 0o600 });
  writeFileSync(join(data, "tokens.csv"), `${token},admin,admin,system:masters\n`, { mode: 0o600 });
  const caFile = join(data, "certificates", "apiserver.crt");
  const kubeconfig = join(data, "kubeconfig");
  writeFileSync(kubeconfig, kubeconfigText({ url, token, caFile }), { mode: 0o600 });
  try {
    start("etcd", [
      `--data-dir=${join(data, "etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${ports.etcd}`,
      `--advertise-client-urls=http://127.0.0.1:${ports.etcd}`,
      `--listen-peer-urls=http://127.0.0.1:${ports.peer}`,
      "--unsafe-no-fsync",
    ]);
    start("kube-apiserver", [
      `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
      `--secure-port=${ports.api}`,
      "--insecure-port=0",
      "--bind-address=127.0.0.1",
      `--cert-dir=${dirname(caFile)}`,
      `--token-auth-file=${join(data, "tokens.csv")}`,
      "--authorization-mode=RBAC",
      "--allow-privileged=true",
      "--service-cluster-ip-range=10.0.0.0/24",
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${keyFile}`,
      `--service-account-signing-key-file=${keyFile}`,
      "--disable-admission-plugins=TaintNodesByCondition",
    ]);
    await untilReady(`${url}/readyz`, { token, isAlive: () => isAlive(children) });
    const shared = [`--kubeconfig=${kubeconfig}`, "--leader-elect=false", "--port=0"];
    start("kube-controller-manager", [
      ...shared,
      "--secure-port=0",
      "--controllers=*,-nodelifecycle",
      `--service-account-private-key-file=${keyFile}`,
      `--root-ca-file=${caFile}`,
    ]);
    start("kube-scheduler", [...shared, "--secure-port=0"]);
  } catch (error) {
    const logs = [...children.keys()].map((program) => {
      const log = readFileSync(join(data, `${program}.log`), "utf8");
      return `${program}: ${log.slice(-2_000)}`;
    });
    await stop();
    throw new Error(`cannot start the control plane: ${logs.join("\n")}`, { cause: error });
  }
  return {
    url,
    token,
    caFile,
    kubeconfig,
    stop,
    async pauseApiServer(action) {
      const server = children.get("kube-apiserver")!;
      server.kill("SIGSTOP");
      try {
        await action();
      } finally {
        server.kill("SIGCONT");
      }
    },
  };
}

function kubeconfigText(access: { url: string; token: string; caFile: string }): string {
  // JSON is YAML.
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "test",
    contexts: [{ name: "test", context: { cluster: "test", user: "admin" } }],
    clusters: [
      { name: "test", cluster: { server: access.url, "certificate-authority": access.caFile } },
    ],
    users: [{ name: "admin", user: { token: access.token } }],
  });
}

function isAlive(children: ReadonlyMap<string, ChildProcess>): boolean {
  return [...children.values()].every(
    (child) => child.exitCode === null && child.signalCode === null,
  );
}

async function untilReady(
  url: string,
  options: { token: string; isAlive: () => boolean },
): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS;
  while ((await status(url, options.token)) !== 200) {
    if (!options.isAlive()) throw new Error("a program ended by itself");
    if (performance.now() > deadlineMs) throw new Error(`${url} does not answer that it is ready`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** 0 when there is no answer in time. The certificate is not there yet, so it cannot be checked. */
function status(url: string, token: string): Promise<number> {
  return new Promise((resolve) => {
    request(
      url,
      {
        rejectUnauthorized: false,
        headers: { Authorization: `Bearer ${token}` },
        agent: false,
        // Who has taken the port may accept and say nothing.
        signal: AbortSignal.timeout(STATUS_TIMEOUT_MS),
      },
      (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      },
    )
      .on("error", () => resolve(0))
      .end();
  });
}

async function stopChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await once(child, "exit");
  clearTimeout(timer);
}

if (import.meta.main) {
  buildControlPlane(controlPlaneFolder());
  const plane = await startControlPlane();
  console.log(plane.kubeconfig);
  for (const signal of ["SIGINT", "SIGTERM"])
    process.once(signal, () => void plane.stop().then(() => process.exit(0)));
}
