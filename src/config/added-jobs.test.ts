import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWithAdded, withJobs } from "./added-jobs.ts";
import { parseConfig } from "./load.ts";
import { printConfig, printGlobal } from "./print.ts";

const OPTIONS = { path: "prometheus.yml", baseFolder: "/etc/prometheus" };
const ADDED = `- job_name: added/1
  basic_auth:
    username: hermes
    password: "s3cret"
  static_configs:
  - targets: [c:3]
- job_name: added/2
`;

/** What `source` becomes with the added jobs, read again. */
function merged(source: string): ReturnType<typeof withJobs> {
  const base = parseConfig(source, OPTIONS);
  const { scrapeConfigs: configs } = parseConfig(
    `${printGlobal(base)}scrape_configs:\n${ADDED}`,
    OPTIONS,
  );
  return withJobs(base, [
    {
      text: ADDED,
      shownText: ADDED.replace("s3cret", "<secret>").replace("hermes", "<secret>"),
      configs,
    },
  ]);
}

for (const [what, source, jobs] of [
  ["nothing", "", []],
  ["comments", "# nothing\n", []],
  ["no jobs", "global: {scrape_interval: 7s}\n", []],
  ["null jobs", "scrape_configs:\nglobal: {scrape_interval: 7s}\n", []],
  ["no jobs in brackets", "scrape_configs: []\n", []],
  ["jobs in brackets", "scrape_configs: [{job_name: a}, {job_name: b}]\n", ["a", "b"]],
  [
    "jobs before other sections",
    `scrape_configs:
  - job_name: a # the first
    static_configs: [{targets: ["a:1"]}]
    # between
  - job_name: "b"
    metric_relabel_configs:
    - regex: 'x|y'
      action: labeldrop
    tls_config:
      ca: |
        PEM

        lines
global:
  scrape_interval: 7s
  external_labels: {a: '010', b: yes}
# the end
`,
    ["a", "b"],
  ],
  [
    "an alias",
    "scrape_configs:\n- &j\n  job_name: a\n  scheme: https\n- <<: *j\n  job_name: b\n",
    ["a", "b"],
  ],
] as const)
  test(`jobs are added to a file with ${what}`, () => {
    const config = merged(source);
    assert.deepEqual(
      config.scrapeConfigs.map(({ jobName }) => jobName),
      [...jobs, "added/1", "added/2"],
    );
    const again = parseConfig(config.source, OPTIONS);
    assert.deepEqual(JSON.stringify(again.scrapeConfigs), JSON.stringify(config.scrapeConfigs));
    assert.deepEqual(again.global, config.global);
    assert.equal(again.scrapeConfigs.at(-2)!.httpClient.basicAuth!.password.reveal(), "s3cret");
    // What the file said itself is said as before.
    const before = parseConfig(source, OPTIONS).scrapeConfigs;
    assert.equal(JSON.stringify(again.scrapeConfigs.slice(0, -2)), JSON.stringify(before));
  });

test("what is shown has no values of Secrets, not even those that are no passwords", () => {
  const shown = printConfig(merged("scrape_configs: [{job_name: a}]\n"));
  assert.match(shown, /added\/1/);
  assert.doesNotMatch(shown, /s3cret|hermes/);
});

test("without added jobs the configuration is the very same", () => {
  const base = parseConfig("scrape_configs: [{job_name: a}]\n", OPTIONS);
  assert.equal(withJobs(base, []), base);
});

test("of added jobs only those that changed are read again", () => {
  const { source } = merged("global: {scrape_interval: 7s}\nscrape_configs: [{job_name: a}]\n");
  const whole = parseConfig(source, OPTIONS);
  const first = parseWithAdded(source, OPTIONS);
  assert.equal(JSON.stringify(first), JSON.stringify(whole));
  const changed = source.replace("c:3", "c:4");
  const second = parseWithAdded(changed, OPTIONS, first);
  assert.equal(JSON.stringify(second), JSON.stringify(parseConfig(changed, OPTIONS)));
  assert.notEqual(second.scrapeConfigs[1], first.scrapeConfigs[1]);
  assert.equal(second.scrapeConfigs[2], first.scrapeConfigs[2]);
  // Another global section means something for all of them.
  const other = source.replace("7s", "8s");
  const third = parseWithAdded(other, OPTIONS, second);
  assert.equal(JSON.stringify(third), JSON.stringify(parseConfig(other, OPTIONS)));
  assert.equal(third.scrapeConfigs[2]!.scrapeIntervalMs, 8000);
});

test("what is wrong with added jobs is told as without them", () => {
  const { source } = merged("scrape_configs: [{job_name: a}]\n");
  const known = parseWithAdded(source, OPTIONS);
  for (const broken of [
    source.replace("c:3", "c:3/x"),
    source.replace("added/2", "added/1"),
    source.replace("added/2", "a"),
    source.replace("- job_name: added/2", "  job_name: added/2"),
    `${source}x: 1\n`,
  ]) {
    const messageOf = (parse: () => unknown): string => {
      try {
        parse();
        return "";
      } catch (error) {
        return (error as Error).message;
      }
    };
    const message = messageOf(() => parseWithAdded(broken, OPTIONS, known));
    assert.notEqual(message, "", broken);
    assert.equal(
      message,
      messageOf(() => parseConfig(broken, OPTIONS)),
    );
  }
});

test("no job is there twice", () => {
  const { scrapeConfigs } = merged("scrape_configs: [{job_name: added/2}]\n");
  assert.deepEqual(
    scrapeConfigs.map(({ jobName }) => jobName),
    ["added/2"],
  );
});
