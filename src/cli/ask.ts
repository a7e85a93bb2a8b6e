import { CoordinatorClient, isRecord } from "../api/query/coordinator-client.ts";
import { AppError } from "../base/errors.ts";
import { flagValues, switchFlag, textFlag } from "./flags.ts";

/** Of every command that asks a running system. */
export const CLIENT_FLAGS = {
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

/** Asks the system that the flags name, and prints what `show` makes of the answer's `data`. Throws its refusal. */
export async function ask(
  given: Readonly<Record<string, unknown>>,
  path: string,
  show: (data: Readonly<Record<string, unknown>>) => string,
  method: "GET" | "POST" = "GET",
): Promise<void> {
  const flags = flagValues(CLIENT_FLAGS, given);
  const url = flags.coordinatorUrl === "" ? flags.url : flags.coordinatorUrl;
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new AppError("bad-data", `cannot ask ${url}: it must be like http://127.0.0.1:9090`);
  const client = new CoordinatorClient(url);
  try {
    const { status, body } = await (method === "GET" ? client.get(path) : client.post(path));
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
