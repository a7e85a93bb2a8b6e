/** The control plane that `npm run test:kubernetes` starts, by itself. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test } from "node:test";
import { startControlPlane } from "../scripts/kubernetes-control-plane.ts";
import { NAMESPACES } from "../src/kubernetes/resources.ts";
import { connect } from "./support/kubernetes-cluster.ts";
import { freePort } from "./support/processes.ts";

const binaries = process.env["SHOAL_KUBERNETES"];
const skip = binaries === undefined ? "no control plane here (npm run test:kubernetes)" : false;

test("a control plane whose port is taken starts on others", { skip }, async (context) => {
  const owner = createServer().listen(0, "127.0.0.1");
  context.after(() => owner.close());
  await once(owner, "listening");
  const { port: taken } = owner.address() as AddressInfo;
  let asked = 0;
  // etcd's first, and at the second try the API server's.
  const plane = await startControlPlane(binaries, () => {
    const isTaken = asked === 0 || asked === 5;
    asked++;
    return isTaken ? Promise.resolve(taken) : freePort();
  });
  context.after(() => plane.stop());
  assert.equal(asked, 9);
  const { items } = await (await connect(context, plane.kubeconfig)).list(NAMESPACES);
  assert.ok(items.some(({ metadata }) => metadata.name === "default"));
});
