import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../base/errors.ts";
import { type Random, seededRandom } from "../base/random.ts";
import { fixtureNames, readFixture } from "./monitors.fixture.ts";
import { PrometheusSettings } from "./prometheus-settings.ts";
import { checkJobs, translate } from "./translate.ts";

/** What no schema of the API would let through, and what one might. */
const JUNK: readonly unknown[] = [
  null,
  undefined,
  "",
  "x",
  "constructor",
  "1m",
  0,
  -1,
  1e300,
  true,
  [],
  {},
  [null],
  [["x"]],
  { key: null },
  { name: "x", key: "y" },
  JSON.parse('{"__proto__": {"a": 1}}'),
];
const ROUNDS = 20;

/** A copy of `value` in which one part, chosen by chance, is something else. */
function spoilt(value: unknown, random: Random): unknown {
  const copy: unknown = structuredClone(value);
  const places: { readonly at: object; readonly key: string }[] = [];
  const walk = (at: unknown): void => {
    if (typeof at !== "object" || at === null) return;
    for (const [key, part] of Object.entries(at)) {
      places.push({ at, key });
      walk(part);
    }
  };
  walk(copy);
  const place = places[Math.floor(random.next() * places.length)];
  if (place !== undefined)
    Reflect.set(place.at, place.key, JUNK[Math.floor(random.next() * JUNK.length)]);
  return copy;
}

/** Runs `action`, which may only fail in an expected way. */
function tries(action: () => void, about: () => string): boolean {
  try {
    action();
    return true;
  } catch (error) {
    assert.ok(
      error instanceof AppError && error.code === "bad-data",
      `${about()}: ${String(error)}`,
    );
    return false;
  }
}

for (const name of fixtureNames())
  test(`${name}: whatever a resource says, it is translated or rejected`, () => {
    const random = seededRandom(name.length);
    const fixture = readFixture(name);
    let translated = 0;
    let rejected = 0;
    for (const { kind, object } of fixture.monitors)
      for (let i = 0; i < ROUNDS; i++) {
        const spec = spoilt(object.spec, random);
        const isGood = tries(
          () =>
            checkJobs(translate(kind, spec, fixture.translation(object)), {
              global: "",
              baseFolder: "/",
            }),
          () => `${kind} ${object.metadata.name} with ${JSON.stringify(spec)}`,
        );
        if (isGood) translated++;
        else rejected++;
      }
    assert.ok(translated > 0 && rejected > 0, `${translated} translated, ${rejected} rejected`);
  });

test("whatever a Prometheus object says, it is read or rejected, and resources under it are", () => {
  const random = seededRandom(7);
  for (const name of fixtureNames()) {
    const fixture = readFixture(name);
    for (let i = 0; i < ROUNDS; i++) {
      const spec = spoilt(fixture.prometheus.spec, random);
      const about = (): string => JSON.stringify(spec);
      let settings: PrometheusSettings | undefined;
      tries(
        () => void (settings = new PrometheusSettings({ namespace: "monitoring", spec })),
        about,
      );
      if (settings === undefined) continue;
      for (const { kind, object } of fixture.monitors) {
        const at = { ...fixture.translation(object), settings };
        tries(() => void translate(kind, object.spec, at), about);
      }
    }
  }
});
