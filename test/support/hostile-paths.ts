import {
  FORM,
  type HostileRequest,
  NO_REDIRECT,
  NO_TIME,
  type Ours,
  TIME,
} from "./hostile-request.ts";

const MATCHERS: readonly HostileRequest[] = [
  "",
  "{}",
  '{job=~".*"}',
  '{job=""}',
  "up_total[1m]",
  "sum(up_total)",
  "1",
  "(",
  'up_total{job=~"("}',
  "up_total offset 1m",
  "up_total @ 1",
  '"up_total"',
  '{"up_total"}',
  "up_total{",
  'up_total{job="a"',
  "up total",
  "-up_total",
  "%FF",
  '{__name__=~"a{1001}"}',
].flatMap((text) => {
  const match = `match[]=${text === "%FF" ? text : encodeURIComponent(text)}`;
  return [
    { name: `series of ${text}`, path: `series?${match}` },
    { name: `labels of ${text}`, path: `labels?${match}` },
    { name: `label values of ${text}`, path: `label/job/values?${match}` },
    // It prints the number of a token.
  ].map((one) => (text === "up_total @ 1" ? { ...one, upTo: "unexpected" } : one));
});

const NO_UTF8: Ours = {
  status: 400,
  text: /bad_data.*it is no UTF-8/,
  why: "Prometheus shows the bytes; what cannot be decoded never reaches our routes",
};
const NAMES_OURS: Readonly<Record<string, Ours>> = {
  "": { status: 400, text: /invalid label name/, ...NO_REDIRECT },
  "..": { status: 200, text: /"data":\[\]/, why: "a label may have this name" },
  "a%2Fb": { status: 200, text: /"data":\[\]/, why: "a label may have this name" },
  "%FF": NO_UTF8,
  "%ED%A0%80": NO_UTF8,
  "%E2%98": NO_UTF8,
};

const NAMES: readonly HostileRequest[] = [
  "",
  "%20",
  "0",
  "a-b",
  "a.b",
  "__name__",
  "größe",
  "gr%C3%B6%C3%9Fe",
  "%FF",
  "%ED%A0%80",
  "%00",
  "%zz",
  "%",
  "a%2Fb",
  "a/b",
  "..",
  "U__",
  "U__a_2e_b",
  "U___",
  "U__a__b",
  "U__a_zz_b",
  "U__a_110000_b",
  "U__a_d800_b",
  "U__0",
  "U___30_",
  "%E2%98",
  "x".repeat(10_000),
  "a%20b",
].map((name) => ({
  name: `values of label ${name.slice(0, 40)}`,
  path: `label/${name}/values`,
  ...(Object.hasOwn(NAMES_OURS, name) && { ours: NAMES_OURS[name]! }),
}));

const RANGES: readonly HostileRequest[] = [
  ...["series?match[]=up_total&", "labels?", "label/job/values?"].flatMap((path) =>
    ["start=x", "end=x", "start=2&end=1", "start=NaN", "end=1e300", "start=&end="].map((times) => ({
      name: `${path}${times}`,
      path: path + times,
      ...(times === "start=NaN" && { ours: { ...NO_TIME, text: /to a valid timestamp/ } }),
      ...(times === "end=1e300" && {
        ours: { ...NO_TIME, status: 200, text: /"data":\["|"data":\[\{/ },
      }),
    })),
  ),
  { name: "series without match[]", path: "series" },
  { name: "series with a good and a bad match[]", path: "series?match[]=up_total&match[]=(" },
  { name: "series by POST without a body", method: "POST", path: "series" },
  {
    name: "series by DELETE",
    method: "DELETE",
    path: "series?match[]=up_total",
    ours: {
      status: 405,
      text: /Method Not Allowed/,
      why: "Prometheus has the route and answers 500, not implemented",
    },
  },
  { name: "exemplars of nothing", path: "query_exemplars?query=" },
  { name: "exemplars of a number", path: "query_exemplars?query=1" },
  { name: "exemplars of broken text", path: "query_exemplars?query=(" },
  { name: "exemplars of bad times", path: "query_exemplars?query=up_total&start=x" },
  { name: "exemplars with start after end", path: "query_exemplars?query=up_total&start=2&end=1" },
  { name: "format of nothing", path: "format_query" },
  { name: "format of broken text", path: "format_query?query=(" },
  { name: "format", path: "format_query?query=sum(up_total)by(job)" },
  { name: "tree of nothing", path: "parse_query" },
  { name: "tree of broken text", path: "parse_query?query=sum(" },
];

/** `fields`: names, each before its value. */
function multipart(name: string, path: string, fields: readonly string[]): HostileRequest {
  let body = "";
  for (let i = 0; i < fields.length; i += 2)
    body += `--x\r\nContent-Disposition: form-data; name="${fields[i]}"\r\n\r\n${fields[i + 1]}\r\n`;
  const headers = { "content-type": "multipart/form-data; boundary=x" };
  return { name, method: "POST", path, headers, body: `${body}--x--\r\n` };
}

const FORMS: readonly HostileRequest[] = [
  ...[
    "application/json",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded; charset=utf-8",
    "APPLICATION/X-WWW-FORM-URLENCODED",
    "application/octet-stream",
    "nonsense",
    "a/b/c",
    "application/x-www-form-urlencoded;",
    ";",
    "",
  ].map((type) => ({
    name: `a form as ${type}`,
    method: "POST",
    path: "query",
    headers: { "content-type": type },
    body: `query=1&${TIME}`,
  })),
  multipart("a multipart form", "query", ["query", "up_total", "time", "1700000000"]),
  multipart("a multipart form and parameters", `query?query=1&${TIME}`, ["query", "2"]),
  multipart("a multipart form of labels", "labels", ["match[]", "nothing"]),
  multipart("a multipart form to be laid out", "format_query", ["query", "sum(a)by(b)"]),
  multipart("a multipart form of many parts", `query?${TIME}`, [
    ...Array.from({ length: 2_000 }, () => "a"),
    "query",
    "1",
  ]),
  {
    ...multipart("a multipart form of series", "series", ["match[]", "nothing"]),
    ours: { status: 200, text: /"data":\[\]/, why: "Prometheus reads no such form for series" },
  },
  {
    name: "a multipart form that ends early",
    method: "POST",
    path: `query?query=1&${TIME}`,
    headers: { "content-type": "multipart/form-data; boundary=x" },
    body: '--x\r\nContent-Disposition: form-data; name="query"\r\n\r\n2',
  },
  {
    name: "a file in a multipart form",
    method: "POST",
    path: "query",
    headers: { "content-type": "multipart/form-data; boundary=x" },
    body: '--x\r\nContent-Disposition: form-data; name="query"; filename="q"\r\n\r\n1\r\n--x--\r\n',
  },
  { name: "a form of no type", method: "POST", path: "query", body: `query=1&${TIME}` },
  { name: "JSON as a form", method: "POST", path: "query", headers: FORM, body: '{"query":"1"}' },
  { name: "an empty form", method: "POST", path: "query", headers: FORM, body: "" },
  {
    name: "broken escapes in a form",
    method: "POST",
    path: "query",
    headers: FORM,
    body: `query=1%zz&${TIME}`,
  },
  {
    name: "a semicolon in a form",
    method: "POST",
    path: "query",
    headers: FORM,
    body: `query=1;x&${TIME}`,
  },
  {
    name: "bytes that are no UTF-8 in a form",
    method: "POST",
    path: "query",
    headers: FORM,
    body: `query=%22%FF%22&${TIME}`,
  },
  { name: "query twice", path: `query?query=1&query=2&${TIME}` },
  { name: "query twice, the first empty", path: `query?query=&query=2&${TIME}` },
  { name: "time twice", path: "query?query=time()&time=1&time=2" },
  {
    name: "query in URL and form",
    method: "POST",
    path: "query?query=1",
    headers: FORM,
    body: `query=2&${TIME}`,
  },
  { name: "query in the URL of a POST", method: "POST", path: `query?query=1&${TIME}` },
  { name: "parameters without a value", path: "query?query&time" },
  { name: "a parameter nobody knows", path: `query?query=1&${TIME}&nothing=1` },
  {
    name: "series with broken escapes",
    path: "series?match[]=up_total&x=%zz",
    ours: { status: 200, text: /up_total/, why: "left out, as other endpoints do there too" },
  },
  {
    name: "series with a semicolon",
    path: "series?match[]=up_total;x",
    ours: {
      status: 400,
      text: /no match\[\] parameter provided/,
      why: "left out, as other endpoints do there too",
    },
  },
  { name: "labels with broken escapes", path: "labels?match[]=up_total&x=%zz" },
  {
    name: "labels with a form as JSON",
    method: "POST",
    path: "labels",
    headers: { "content-type": "application/json" },
    body: "{}",
  },
];

const METHODS: readonly HostileRequest[] = [
  { name: "an unknown endpoint", path: "nothing" },
  { name: "no endpoint", path: "" },
  { name: "an endpoint below an endpoint", path: "query/x" },
  {
    name: "an endpoint with a slash",
    path: `query/?query=1&${TIME}`,
    ours: { status: 200, text: /success/, ...NO_REDIRECT },
  },
  {
    name: "an endpoint with two slashes",
    path: `/query?query=1&${TIME}`,
    ours: { status: 404, text: /404 page not found/, ...NO_REDIRECT },
  },
  {
    name: "an endpoint in capitals",
    path: `Query?query=1&${TIME}`,
    ours: { status: 404, text: /404 page not found/, ...NO_REDIRECT },
  },
  { name: "a label without values", path: "label/job" },
  { name: "a label and something else", path: "label/job/names" },
  ...["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"].flatMap((method) =>
    ["query", "query_range", "labels", "label/job/values", "nothing"].map((path) => ({
      name: `${method} ${path}`,
      method,
      path: `${path}?query=1&${TIME}`,
    })),
  ),
  { name: "POST of label values", method: "POST", path: "label/job/values" },
  {
    name: "CORS of a query",
    path: `query?query=1&${TIME}`,
    headers: { origin: "http://example.org" },
  },
  { name: "CORS of an error", path: "query?query=(", headers: { origin: "http://example.org" } },
  {
    name: "CORS of nothing",
    path: "nothing",
    headers: { origin: "http://example.org" },
    ours: {
      status: 404,
      text: /404 page not found/,
      why: "a browser may read that there is nothing",
    },
  },
  {
    name: "CORS ahead of a request",
    method: "OPTIONS",
    path: "query",
    headers: { origin: "http://example.org", "access-control-request-method": "POST" },
  },
];

/** Series and labels, forms, methods and paths. */
export const HOSTILE_PATHS: Readonly<Record<string, readonly HostileRequest[]>> = {
  matchers: MATCHERS,
  "names of labels": NAMES,
  "ranges of series": RANGES,
  forms: FORMS,
  "methods and paths": METHODS,
};
