import type { Command } from "commander";
import { CoordinatorClient, isRecord } from "../api/query/coordinator-client.ts";
import type { WhyData } from "../api/coordinator/why-answer.ts";
import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { explainText } from "./explain-text.ts";
import { addFlags, flagValues, readEnvironment, switchFlag, textFlag } from "./flags.ts";
import { shardsText } from "./shards-text.ts";

const CLIENT_FLAGS = {
  url: textFlag(
    {
      name: "url",
      value: "url",
      help: "A query process or a coordinator, like http://127.0.0.1:9090.",
    },
    "http://127.0.0.1:9090",
  ),
  coordinatorUrl: textFlag(
    {
      name: "coordinator.url",
      value: "url",
      help: "The coordinator to ask instead of --url, like http://127.0.0.1:9091.",
    },
    "",
  ),
  json: switchFlag({ name: "json", help: "Print the API's answer." }),
} as const;

/** `explain TARGET` and `shards`: ask a running system. */
export function registerExplain(program: Command): void {
  const explain = program
    .command("explain")
    .description(
      "tell which shard scrapes a target, since when and why, and what else was possible",
    )
    .argument("<target>", 'its URL, hash, instance, job/instance, or {job="…",instance="…"}');
  addFlags(explain, CLIENT_FLAGS);
  explain.action(async (target: string) => {
    readEnvironment(explain, CLIENT_FLAGS);
    await ask(explain.opts(), `/api/v1/why?target=${encodeURIComponent(target)}`, (data) =>
      // Shoal's own answer: its shape is WhyData's.
      explainText(data as unknown as WhyData, systemClock.now()),
    );
  });
  const shards = program
    .command("shards")
    .description("list the shards with what they carry and what their limits are");
  addFlags(shards, CLIENT_FLAGS);
  shards.action(async () => {
    readEnvironment(shards, CLIENT_FLAGS);
    await ask(shards.opts(), "/api/v1/shards", shardsText);
  });
}

async function ask(
  given: Readonly<Record<string, unknown>>,
  path: string,
  show: (data: Readonly<Record<string, unknown>>) => string,
): Promise<void> {
  const flags = flagValues(CLIENT_FLAGS, given);
  const url = flags.coordinatorUrl === "" ? flags.url : flags.coordinatorUrl;
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new AppError("bad-data", `cannot ask ${url}: it must be like http://127.0.0.1:9090`);
  const client = new CoordinatorClient(url);
  try {
    const { status, body } = await client.get(path);
    const answer = parse(body);
    if (status !== 200 || answer?.["status"] !== "success")
      throw new AppError(
        status === 404 ? "not-found" : "unavailable",
        typeof answer?.["error"] === "string"
          ? answer["error"]
          : `cannot ask ${url}: it answers HTTP ${status}, not as a Shoal does`,
      );
    const { data } = answer;
    process.stdout.write(
      flags.json ? `${JSON.stringify(data, null, 2)}\n` : show(isRecord(data) ? data : {}),
    );
  } finally {
    await client.close();
  }
}

function parse(body: string): Record<string, unknown> | undefined {
  try {
    const parsed: unknown = JSON.parse(body);
    return isRecord(parsed) ? parsed : undefined;
  } catch {
    return undefined;
  }
}
