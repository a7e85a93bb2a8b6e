import type { TestContext } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import type { HttpClientConfig } from "../config/types.ts";
import { createHttpClient } from "../http/client.ts";
import { KubernetesWatches } from "./kubernetes/watches.ts";
import type { Finding, Mechanism, MechanismContext } from "./mechanism.ts";

/** What a mechanism is given in tests: real time, a real HTTP client, silence. */
export function testContext(): MechanismContext {
  const parts = {
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    environment: {},
    createHttpClient: (config: HttpClientConfig) => createHttpClient(config, { userAgent: "test" }),
  };
  return { ...parts, kubernetes: new KubernetesWatches(parts) };
}

/** The findings of a running mechanism, for tests to wait on. */
export class TestReports {
  readonly #findings: Finding[] = [];
  #arrived = Promise.withResolvers<void>();

  /** Runs `mechanism` until the test ends. */
  static run(t: TestContext, mechanism: Mechanism): TestReports {
    const reports = new TestReports();
    const stopping = new AbortController();
    const done = mechanism.run((finding) => reports.#add(finding), stopping.signal);
    t.after(() => {
      stopping.abort();
      return done;
    });
    return reports;
  }

  /** The next finding, from here on, that `accept` is satisfied with. */
  async next(accept: (finding: Finding) => boolean = () => true): Promise<Finding> {
    for (;;) {
      const finding = this.#findings.shift();
      if (finding === undefined) await this.#arrived.promise;
      else if (accept(finding)) return finding;
    }
  }

  /** The addresses of the next finding whose addresses are `want`, sorted. */
  async addresses(want: readonly string[]): Promise<Finding> {
    return this.next((finding) => String(addressesOf(finding)) === String([...want].sort()));
  }

  #add(finding: Finding): void {
    this.#findings.push(finding);
    this.#arrived.resolve();
    this.#arrived = Promise.withResolvers<void>();
  }
}

export function addressesOf(finding: Finding): string[] {
  return (finding.groups ?? [])
    .flatMap((group) => group.targets.map((target) => target["__address__"]!))
    .sort();
}
