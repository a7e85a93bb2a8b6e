import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { decodeText, unreadable } from "./config-text.ts";
import { toHttpClient } from "./http-client-config.ts";
import { checkHttpClient, httpClientFields } from "./http-client.ts";
import { decode } from "./kind.ts";
import { object } from "./object.ts";
import { Reader } from "./reader.ts";
import type { HttpClientConfig } from "./types.ts";
import { parseYamlSource } from "./yaml-source.ts";

const httpClient = object("an HTTP client's config", httpClientFields, checkHttpClient);

/** Reads a file that holds an HTTP client's settings alone. Throws ConfigError, and AppError when it cannot be read. */
export async function loadHttpClient(path: string): Promise<HttpClientConfig> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  const source = parseYamlSource(decodeText(bytes, path), path);
  const reader = new Reader(source, dirname(resolve(path)));
  const values =
    source.root === undefined ? httpClient.defaults : decode(httpClient, source.root, reader);
  reader.throwIfAny();
  return toHttpClient(values);
}
