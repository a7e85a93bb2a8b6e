import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rewriteText } from "./rewrite-text.ts";
import type { TextFormat } from "./entry-parser.ts";

function convert(
  text: string,
  options: { format?: TextFormat; keepClassic?: boolean } = {},
): { text: string; histograms: string[]; exemplars: string[] } | undefined {
  const { format = "text", keepClassic = false } = options;
  const bytes = Buffer.concat([Buffer.from(text), Buffer.alloc(1)]);
  const converted = rewriteText({ bytes, length: bytes.length - 1 }, format, {
    convertClassic: true,
    keepClassic,
    takeCreated: false,
  });
  if (converted === undefined) return undefined;
  const { beside, length } = converted;
  return {
    text: Buffer.from(converted.bytes.subarray(0, length)).toString(),
    histograms: Array.from(beside.histograms, ([line, { histogram, isFloat }]) =>
      [
        line,
        isFloat ? "float" : "integer",
        histogram.count,
        histogram.sum,
        `[${histogram.customValues.join()}]`,
        `[${histogram.positiveBuckets.join()}]`,
      ].join(" "),
    ),
    exemplars: beside.exemplars.map(
      ({ sample, exemplar }) => `${sample} ${exemplar.labels?.toString()} ${exemplar.value}`,
    ),
  };
}

const CLASSIC = `h_bucket{a="x",le="1"} 2
h_bucket{a="x",le="+Inf"} 3
h_sum{a="x"} 4.5
h_count{a="x"} 3
`;

describe("classic histograms of text", () => {
  test("become one line each, and stay when asked to", () => {
    const head = "g 1\n# HELP h text\n# TYPE h histogram\n";
    const tail = "# TYPE after counter\nafter 2\n";
    const histograms = ["1 integer 3 4.5 [1] [2,1]"];
    assert.deepEqual(convert(head + CLASSIC + tail), {
      text: `${head}h{a="x"} 0\n${tail}`,
      histograms,
      exemplars: [],
    });
    assert.deepEqual(convert(head + CLASSIC + tail, { keepClassic: true }), {
      text: `${head}${CLASSIC}h{a="x"} 0\n${tail}`,
      histograms: ["5 integer 3 4.5 [1] [2,1]"],
      exemplars: [],
    });
  });

  test("keep their timestamps as written, and exemplars that have a time", () => {
    const text = `# TYPE h histogram
h_bucket{le="1.0"} 2 1700000000.001 # {t="late"} 0.5 1700000000
h_bucket{le="+Inf"} 3 1700000000.001 # {t="none"} 5
h_bucket{le="0.5"} 1 1700000000.001 # {t="early"} 0.4 1600000000
# EOF
`;
    const format = "openmetrics";
    assert.deepEqual(convert(text, { format }), {
      text: "# TYPE h histogram\nh 0 1700000000.001\n# EOF\n",
      histograms: ["0 integer 3 0 [0.5,1] [1,1,1]"],
      exemplars: ['0 {t="early"} 0.4', '0 {t="late"} 0.5'],
    });
    // The classic series have no exemplars then.
    assert.equal(
      convert(text, { format, keepClassic: true })?.text,
      `# TYPE h histogram
h_bucket{le="1.0"} 2 1700000000.001
h_bucket{le="+Inf"} 3 1700000000.001
h_bucket{le="0.5"} 1 1700000000.001
h 0 1700000000.001
# EOF
`,
    );
  });

  test("what is no histogram is left out, what never claimed to be one stays", () => {
    const broken = '# TYPE b histogram\nb_bucket{le="1"} 3\nb_count 2\n';
    const stranger = '# TYPE s histogram\nother_bucket{le="1"} 3\ns_bucket{le="x"} 1\n';
    assert.deepEqual(convert(broken + stranger), {
      text: `# TYPE b histogram\n${stranger}`,
      histograms: [],
      exemplars: [],
    });
  });

  test("nothing to convert, and a broken body, are left as they are", () => {
    assert.equal(convert("g 1\n"), undefined);
    assert.equal(convert(`# TYPE h histogram\n${CLASSIC}h_bucket{ 1\n`), undefined);
  });

  test("created times go to the series they are of, a converted histogram among them", () => {
    const text = `# TYPE h histogram
h_bucket{le="1.0"} 2
h_bucket{le="+Inf"} 3
h_created 1.5
# TYPE c counter
c_total{x="1"} 4
c_created{x="1"} 2
c_total{x="2"} 4
# TYPE g gauge
g 1
g_created 3
# EOF
`;
    const rewritten = (options: { convertClassic: boolean }): unknown => {
      const bytes = Buffer.concat([Buffer.from(text), Buffer.alloc(1)]);
      const result = rewriteText({ bytes, length: bytes.length - 1 }, "openmetrics", {
        ...options,
        keepClassic: false,
        takeCreated: true,
      })!;
      const written = Buffer.from(result.bytes.subarray(0, result.length)).toString();
      return [written.match(/^[a-z][^ ]*/gm), [...result.beside.created]];
    };
    const rest = ['c_total{x="1"}', 'c_total{x="2"}', "g", "g_created"];
    assert.deepEqual(rewritten({ convertClassic: true }), [
      ["h", ...rest],
      [
        [0, 1500],
        [1, 2000],
      ],
    ]);
    assert.deepEqual(rewritten({ convertClassic: false }), [
      ['h_bucket{le="1.0"}', 'h_bucket{le="+Inf"}', ...rest],
      [
        [0, 1500],
        [1, 1500],
        [2, 2000],
      ],
    ]);
  });
});
