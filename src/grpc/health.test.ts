import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { credentials, loadPackageDefinition, type Client } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { createHealth } from "./health.ts";
import { createGrpcServer } from "./server.ts";

interface HealthClient extends Client {
  Check(
    request: { service: string },
    done: (error: Error | null, response: { status: string }) => void,
  ): void;
  Watch(request: { service: string }): AsyncIterable<{ status: string }> & { cancel(): void };
}

describe("grpc.health.v1.Health", () => {
  it("answers checks and tells watchers of every change", async (context) => {
    const health = createHealth();
    const server = createGrpcServer({ port: 0, services: [health.service], graceMs: 0 });
    await server.start();
    const root = loadPackageDefinition(
      loadSync("health.proto", { includeDirs: [import.meta.dirname], enums: String }),
    ) as unknown as {
      grpc: { health: { v1: { Health: new (...parameters: unknown[]) => HealthClient } } };
    };
    const client = new root.grpc.health.v1.Health(
      `127.0.0.1:${server.address().port}`,
      credentials.createInsecure(),
    );
    context.after(async () => {
      client.close();
      await server.stop();
    });
    const check = (service: string): Promise<string> =>
      new Promise((resolve, reject) =>
        client.Check({ service }, (error, response) =>
          error === null ? resolve(response.status) : reject(error),
        ),
      );
    health.set("", true);
    health.set("thanos.Store", false);
    assert.equal(await check(""), "SERVING");
    assert.equal(await check("thanos.Store"), "NOT_SERVING");
    await assert.rejects(check("other"), { code: 5, details: "unknown service other" });

    const changes = ["SERVICE_UNKNOWN", "SERVING", "NOT_SERVING"];
    const seen: string[] = [];
    for await (const { status } of client.Watch({ service: "later" })) {
      seen.push(status);
      if (seen.length === changes.length) break;
      health.set("later", seen.length === 1);
    }
    assert.deepEqual(seen, changes);
  });
});
