import type { DiscoveryConfig } from "../config/types.ts";
import { createConsul } from "./consul.ts";
import { createDns } from "./dns.ts";
import { createEc2 } from "./ec2.ts";
import { createFile } from "./file.ts";
import { createHttp } from "./http.ts";
import { createKubernetes } from "./kubernetes/kubernetes.ts";
import type { Mechanism, MechanismContext } from "./mechanism.ts";
import { createStatic } from "./static.ts";

/** The mechanism that a configuration asks for, or undefined when this program has none of that name. */
export function createMechanism(
  config: DiscoveryConfig,
  context: MechanismContext,
): Mechanism | undefined {
  switch (config.kind) {
    case "static":
      return createStatic(config);
    case "file":
      return createFile(config, context);
    case "http":
      return createHttp(config, context);
    case "dns":
      return createDns(config, context);
    case "consul":
      return createConsul(config, context);
    case "ec2":
      return createEc2(config, context);
    case "kubernetes":
      return createKubernetes(config, context);
    case "other":
      return undefined;
  }
}
