import assert from "node:assert/strict";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { Labels } from "../src/model/labels.ts";
import { remoteWrite } from "../src/promql/testing/remote-write.fixture.ts";
import { HOSTILE_PARAMETERS } from "./support/hostile-parameters.ts";
import { HOSTILE_PATHS } from "./support/hostile-paths.ts";
import { HOSTILE_QUERIES } from "./support/hostile-queries.ts";
import type { HostileRequest } from "./support/hostile-request.ts";
import {
  freePort,
  type RunningProcess,
  skipWithoutParts,
  startPrometheus,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

/**
 * Bad and edge input over HTTP, to `shoal query` over a shard, to that shard itself and to a real Prometheus with the same
 * samples: the same status, type of error and text, and all answer a plain query while and after.
 */
const START_SECONDS = 1_700_000_000;
const PLAIN = `query?query=count(up_total)&time=${START_SECONDS}`;

/** Of an answer without the headers that let pages of other origins read it. */
const NO_ORIGINS = " |  |  | ";

/** Characters of an answer that a failure shows. */
const SHOWN = 300;

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly allow: string;
  readonly body: string;
  readonly cors: string;
}

async function send(url: string, asked: HostileRequest): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const { method = "GET", path, headers = {}, body } = asked;
  const sent = httpRequest({
    hostname,
    port,
    method,
    path: `/api/v1/${encodeURI(path).replaceAll("%25", "%")}`,
    headers: {
      ...headers,
      ...(body !== undefined && { "content-length": Buffer.byteLength(body) }),
    },
  });
  sent.end(body);
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const header = (name: string): string => String(response.headers[name] ?? "");
  return {
    status: response.statusCode ?? 0,
    type: header("content-type"),
    allow: header("allow"),
    body: Buffer.concat(pieces).toString(),
    cors: [
      "access-control-allow-origin",
      "access-control-allow-methods",
      "access-control-allow-headers",
      "access-control-expose-headers",
    ]
      .map(header)
      .join(" | "),
  };
}

/** What must be equal, as text; up to `upTo`, which must be there. */
function shown({ status, type, allow, cors, body }: Answer, upTo?: string): string {
  let text = body;
  if (type === "application/json" && body !== "") {
    const { status: outcome, data, ...rest } = JSON.parse(body) as Record<string, unknown>;
    text = JSON.stringify({ outcome, data, ...rest });
  }
  const all = [status, type, allow, cors, text].join(" ");
  return upTo === undefined ? all : all.slice(0, all.indexOf(upTo));
}

interface Sides {
  readonly shoal: string;
  readonly prometheus: string;
  /** No page of another origin may read the answers, so their headers do not allow it. */
  readonly ignoresOrigins: boolean;
}

/** How the answers differ from what they should be; undefined when they do not. */
async function differenceOf(
  asked: HostileRequest,
  { shoal, prometheus, ignoresOrigins }: Sides,
): Promise<string | undefined> {
  const { ours, upTo } = asked;
  const alone = ours?.alone === true;
  const [found, wanted] = await Promise.all([
    send(shoal, asked),
    alone ? undefined : send(prometheus, asked),
  ]);
  if (ignoresOrigins && wanted !== undefined) Object.assign(wanted, { cors: NO_ORIGINS });
  const was = `${asked.name}\n  Shoal:      ${shown(found).slice(0, SHOWN)}`;
  if (ours !== undefined) {
    if (found.status !== ours.status || !ours.text.test(found.body))
      return `${was}\n  it should be ${ours.status} ${ours.text.source}`;
    // A difference that is gone is not to be told of any more.
    if (wanted !== undefined && shown(found) === shown(wanted))
      return `${was}\n  Prometheus answers the same`;
    return undefined;
  }
  assert.ok(wanted !== undefined);
  if (upTo !== undefined) assert.ok(shown(wanted).includes(upTo), shown(wanted).slice(0, SHOWN));
  if (shown(found, upTo) === shown(wanted, upTo)) return undefined;
  return `${was}\n  Prometheus: ${shown(wanted).slice(0, SHOWN)}`;
}

describe("hostile requests", { skip: skipWithoutParts() }, () => {
  const running: RunningProcess[] = [];
  const folder = temporaryFolder("hostile");
  let shoal = "";
  let own = "";
  let prometheus = "";

  before(async () => {
    const grpc = `127.0.0.1:${await freePort()}`;
    const shard = await startShoal({
      args: [
        "shard",
        "--shard.id=shard-0",
        `--storage.tsdb.path=${folder}`,
        `--grpc.address=${grpc}`,
        "--web.enable-remote-write-receiver",
        "--storage.tsdb.retention.time=100y",
      ],
    });
    running.push(shard);
    const query = await startShoal({
      args: ["query", `--endpoint=${grpc}`, "--query.threads=2"],
    });
    running.push(query);
    const real = await startPrometheus({
      flags: ["--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=100y"],
    });
    assert.ok(real !== undefined);
    running.push(real);
    const series = Array.from({ length: 5 }, (_, i) => ({
      labels: Labels.fromObject({
        __name__: "up_total",
        i: String(i),
        job: i < 3 ? "a" : "b",
        // What regular expressions have to chew on.
        text: "ab".repeat(5_000) + String(i),
      }),
      samples: Array.from({ length: 41 }, (_sample, k) => ({
        timeMs: (START_SECONDS + k * 15) * 1000,
        value: k * (i + 1),
      })),
    }));
    for (const one of [shard, real]) await remoteWrite(one.url, series);
    shoal = query.url;
    own = shard.url;
    prometheus = real.url;
    await until("Shoal has the samples", async () =>
      (await send(shoal, { name: "", path: PLAIN })).body.includes('"5"') ? true : undefined,
    );
  });
  after(async () => {
    for (const one of running.reverse()) await one.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function plainAnswers(): Promise<void> {
    for (const url of [shoal, own, prometheus]) {
      const { status, body } = await send(url, { name: "a plain query", path: PLAIN });
      assert.equal(status, 200, url);
      assert.match(body, /"5"/, url);
    }
  }

  async function compareAll(requests: readonly HostileRequest[], sides: Sides): Promise<void> {
    const wrong: string[] = [];
    for (const asked of requests) {
      const [difference] = await Promise.all([differenceOf(asked, sides), plainAnswers()]);
      if (difference !== undefined) wrong.push(difference);
    }
    await plainAnswers();
    assert.equal(wrong.length, 0, `${wrong.length} differences\n${wrong.join("\n")}`);
  }

  const aboutSeries = { ...HOSTILE_QUERIES, ...HOSTILE_PARAMETERS };
  for (const [group, requests] of Object.entries({ ...aboutSeries, ...HOSTILE_PATHS }))
    test(group, () => compareAll(requests, { shoal, prometheus, ignoresOrigins: false }));
  for (const [group, requests] of Object.entries(aboutSeries))
    test(`${group}, to a shard`, () =>
      compareAll(requests, { shoal: own, prometheus, ignoresOrigins: true }));
});
