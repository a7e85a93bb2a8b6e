import type { FastifyInstance } from "fastify";

/** Which methods the routes of `app` answer, by path: what a 405 tells. Only routes added after this call are known. */
export function trackMethods(app: FastifyInstance): (path: string) => readonly string[] {
  const known: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  app.addHook("onRoute", ({ url, method }) => {
    // Parts of a path that stand for anything; the rest is letters, digits, slashes, dots, dashes and underscores.
    const pattern = url.replaceAll(".", "\\.").replace(/:\w+/g, "[^/]+").replaceAll("*", ".*");
    known.push({ pattern: new RegExp(`^${pattern}/?$`), methods: [method].flat() });
  });
  return (path) => {
    const methods = known.filter(({ pattern }) => pattern.test(path)).flatMap((one) => one.methods);
    return [...new Set(methods)].sort();
  };
}
