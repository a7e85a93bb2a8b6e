import type { Command } from "commander";
import { AppError } from "../base/errors.ts";
import { ask, CLIENT_FLAGS } from "./ask.ts";
import { addFlags, readEnvironment } from "./flags.ts";

type Data = Readonly<Record<string, unknown>>;

/**
 * `drain`, `undrain`, `stop-scraping` and `resume-scraping`: what an operator may order. The coordinator refuses them
 * without `--web.enable-admin-api`.
 */
export function registerOrders(program: Command): void {
  for (const { name, drain, description } of [
    { name: "drain", drain: true, description: "move all targets of a shard to the others" },
    { name: "undrain", drain: false, description: "let a drained shard have targets again" },
  ]) {
    const command = program.command(name).description(description);
    command.argument("<shard>", "as `shoal shards` calls it, like shard-1");
    addFlags(command, CLIENT_FLAGS);
    command.action(async (shard: string) => {
      readEnvironment(command, CLIENT_FLAGS);
      const parameters = new URLSearchParams({ shard, drain: String(drain) });
      await ask(command.opts(), `/api/v1/shards/drain?${parameters.toString()}`, drainText, "POST");
    });
  }
  const stop = program
    .command("stop-scraping")
    .description("emergency switch: no shard scrapes anything until resume-scraping")
    .argument("<reason>", "why; everybody sees it, each failed scrape has it as its error");
  addFlags(stop, CLIENT_FLAGS);
  stop.action(async (reason: string) => {
    if (reason.trim() === "") throw new AppError("bad-data", "cannot stop scraping: say why");
    readEnvironment(stop, CLIENT_FLAGS);
    await order(stop.opts(), reason);
  });
  const resume = program.command("resume-scraping").description("scrape again after stop-scraping");
  addFlags(resume, CLIENT_FLAGS);
  resume.action(async () => {
    readEnvironment(resume, CLIENT_FLAGS);
    await order(resume.opts(), "");
  });
}

async function order(given: Data, stopScrapeReason: string): Promise<void> {
  const parameters = new URLSearchParams({ stopScrapeReason });
  const show = (data: Data): string => stopText(data, stopScrapeReason);
  await ask(given, `/api/v1/status/extra_config?${parameters.toString()}`, show, "POST");
}

function drainText({ shards }: Data): string {
  return `drained: ${namesIn(shards).join(", ") || "none"}\n`;
}

function stopText({ since, pending }: Data, reason: string): string {
  const late = namesIn(pending);
  const told = late.length === 0 ? "all shards know" : `not yet told: ${late.join(", ")}`;
  const what =
    reason === "" ? "targets are scraped again" : `nothing is scraped since ${String(since)}`;
  return `${what}; ${told}\n`;
}

function namesIn(list: unknown): string[] {
  return Array.isArray(list) ? list.map(String) : [];
}
