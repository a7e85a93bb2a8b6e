import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { connectShard } from "./control.ts";
import { adaptKvass } from "./kvass-peer.ts";
import { converse, type KvassRecording } from "./testdata/kvass-conversation.ts";
import { decodeAssignment, parseJson } from "./wire.ts";

const recording = JSON.parse(
  readFileSync(new URL("testdata/kvass/sidecar.json", import.meta.url), "utf8"),
) as KvassRecording;

/** What of a question Go's structures take up; the rest they skip. */
function asKvassReads(body: string): unknown {
  if (body === "") return "";
  const document = parseJson(body) as {
    readonly rawContent?: string;
    readonly stopScrapeReason?: string;
    readonly Targets?: Record<string, Record<string, unknown>[]>;
  };
  const { rawContent, stopScrapeReason, Targets } = document;
  if (Targets === undefined) return { rawContent, stopScrapeReason };
  return Object.entries(Targets).map(([job, targets]) => [
    job,
    targets.map(({ hash, labels, series, totalSeries, TargetState }) => {
      assert.match(body, new RegExp(`"hash":${String(hash)},`), "a bare number");
      return { hash, labels, series, totalSeries, TargetState };
    }),
  ]);
}

/** A server that has the recorded answers, in their order, for the recorded questions and no others. */
async function replay(context: TestContext): Promise<{ url: string; left: () => number }> {
  const left = [...recording.exchanges];
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let body = "";
    for await (const piece of request) body += String(piece);
    const next = left.shift();
    try {
      assert.ok(next !== undefined, `nothing more was asked, but ${request.url}`);
      assert.deepEqual([request.method, request.url], [next.method, next.path]);
      assert.deepEqual(asKvassReads(body), asKvassReads(next.body));
      response.writeHead(next.status).end(next.answer);
    } catch (error) {
      response.writeHead(500).end(JSON.stringify({ status: "error", error: String(error) }));
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { url: `http://127.0.0.1:${address.port}`, left: () => left.length };
}

test("what a real Kvass sidecar was told and has told is said and understood", async (context) => {
  const { url, left } = await replay(context);
  const control = adaptKvass(connectShard(url), () => []);
  context.after(() => control.close());
  // The targets as they were then: what labels the coordinator gives is no concern of the wire.
  const given = recording.exchanges.find(({ body }) => body.startsWith('{"Targets"'));
  const list = decodeAssignment(parseJson(given!.body));
  const told = await converse(control, { config: recording.config, list }, async () => {});
  assert.equal(left(), 0);
  assert.deepEqual([told.first.configHash, told.configured.configHash], ["", "ours"]);
  const [plain, probe] = list.map(({ target }) => target.hash);
  assert.ok(Number(plain) > Number.MAX_SAFE_INTEGER, "it needs all 64 bits");
  assert.deepEqual(new Set(told.scraped.keys()), new Set([plain, probe]));
  const { health, load, lastError, lastScrapeMs, scrapes } = told.scraped.get(plain!)!;
  assert.deepEqual([health, load.series, load.rawSeries, lastError], ["up", 29, 30, ""]);
  assert.ok(lastScrapeMs > 1_700_000_000_000 && scrapes > 0);
  assert.equal(told.scraped.get(probe!)!.load.series, 30);
  assert.deepEqual(
    ["plain", "with parameters"].map((job) => told.statistics.get(job)?.scrapedTotal),
    [29, 30],
  );
  assert.deepEqual(
    [plain, probe].map((hash) => told.moving.get(hash!)?.state),
    ["in_transfer", "normal"],
  );
  assert.deepEqual([told.stopped.stopReason, told.idle.stopReason], ["too much", ""]);
  assert.ok(told.idle.idleSinceMs! > 1_700_000_000_000);
});
