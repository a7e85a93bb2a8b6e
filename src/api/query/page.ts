import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { FastifyInstance } from "fastify";

const TYPES: Record<string, string> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".ico": "image/x-icon",
  ".woff2": "font/woff2",
  ".json": "application/json",
};

/** The page's own routes; all are served by index.html, which reads its state from the URL. */
const PAGE_PATHS = ["/query", "/targets", "/shards"];

/** No script, style or connection from anywhere else; inline styles are what the component library sets. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

/** Serves the built page. Only files that were there at start are served, so no request path reaches the disk. */
export function registerPage(app: FastifyInstance, folder: string): void {
  const index = readFileSync(join(folder, "index.html"));
  const html = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
  };
  for (const path of PAGE_PATHS)
    app.get(path, async (_request, reply) => reply.headers(html).type(TYPES[".html"]!).send(index));
  for (const path of ["/", "/graph"])
    app.get(path, async (request, reply) =>
      reply.redirect(
        `/query${request.url.includes("?") ? request.url.slice(request.url.indexOf("?")) : ""}`,
        302,
      ),
    );
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, entry);
    const type = TYPES[/\.[^./]+$/.exec(entry)?.[0] ?? ""];
    if (type === undefined || entry === "index.html" || !statSync(path).isFile()) continue;
    const url = `/${relative(folder, path).split(sep).join("/")}`;
    // Vite names assets by their content, so they never change under one name.
    const caching = url.startsWith("/assets/") ? "public, max-age=31536000, immutable" : "no-cache";
    app.get(url, async (_request, reply) =>
      reply.header("Cache-Control", caching).type(type).send(readFileSync(path)),
    );
  }
}
