import { once } from "node:events";
import { createServer, type Server } from "node:net";

/**
 * Below the range from which the system takes ports for outgoing connections (Linux: from 32768, macOS and Windows:
 * from 49152): a port from there could be taken by any connection before its owner listens.
 */
const FIRST = 15_000;
const LAST = 32_767;
const MAX_TRIES = 100;

/** A port of the loopback interface on which nobody listens now, for a program that is started a moment later. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST + 1));
    const server = createServer();
    try {
      await once(server.listen(port, "127.0.0.1"), "listening");
    } catch {
      continue;
    }
    await close(server);
    return port;
  }
  throw new Error(`cannot find a free port from ${FIRST} to ${LAST}: ${MAX_TRIES} were taken`);
}

async function close(server: Server): Promise<void> {
  server.close();
  await once(server, "close");
}
