import type { Ec2Discovery, HttpClientConfig } from "../config/types.ts";
import { refreshLoop, type Mechanism, type MechanismContext } from "./mechanism.ts";

/** The instances of one AWS region, one group of them all. */
export function createEc2(config: Ec2Discovery, context: MechanismContext): Mechanism {
  return {
    async run(report, signal) {
      // AWS's libraries are a megabyte that only who uses them loads.
      const { Ec2Instances } = await import("./ec2-instances.ts");
      const client = context.createHttpClient(config.httpClient);
      const direct = context.createHttpClient(directClient(config.httpClient));
      const instances = new Ec2Instances({ config, context, client, direct });
      try {
        await refreshLoop(
          { mechanism: "ec2", intervalMs: config.refreshIntervalMs, context, report, signal },
          async (abort) => ({ groups: [await instances.list(abort)], errors: [] }),
        );
      } finally {
        await Promise.all([client.close(), direct.close()]);
      }
    },
  };
}

/** For the instance metadata service, which no proxy reaches and which is not to see credentials. */
function directClient(config: HttpClientConfig): HttpClientConfig {
  return {
    ...config,
    basicAuth: undefined,
    authorization: undefined,
    oauth2: undefined,
    headers: {},
    proxy: { url: "", noProxy: "", fromEnvironment: false, connectHeader: {} },
  };
}
