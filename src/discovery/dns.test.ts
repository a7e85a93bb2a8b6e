import assert from "node:assert/strict";
import { createSocket, type RemoteInfo } from "node:dgram";
import { test, type TestContext } from "node:test";
import { candidateNames, parseSearchRules } from "./dns-names.ts";
import { createDns } from "./dns.ts";
import { TestReports, testContext } from "./test-reports.ts";

const TYPES = { A: 1, NS: 2, MX: 15, AAAA: 28, SRV: 33 } as const;
type Type = keyof typeof TYPES;

/** Records by "TYPE name"; a name that is not there does not exist, one that is undefined makes the server fail. */
type Zone = Record<string, Buffer[] | undefined>;

function encodeName(name: string): Buffer {
  const parts = name.split(".").map((part) => Buffer.from([part.length, ...Buffer.from(part)]));
  return Buffer.concat([...parts, Buffer.from([0])]);
}

function uint16(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [value >> 8, value & 0xff]));
}

/** A real DNS server (RFC 1035) on a loopback port, with one zone. */
async function serve(t: TestContext, zone: Zone): Promise<string> {
  const socket = createSocket("udp4");
  socket.on("message", (query: Buffer, from: RemoteInfo) => {
    const labels: string[] = [];
    let at = 12;
    while (query[at] !== 0) {
      labels.push(query.subarray(at + 1, at + 1 + query[at]!).toString());
      at += 1 + query[at]!;
    }
    const question = query.subarray(12, at + 5);
    const type = query.readUInt16BE(at + 1);
    const typeName = Object.entries(TYPES).find(([, number]) => number === type)?.[0];
    const key = `${typeName} ${labels.join(".")}`;
    const records = zone[key] ?? [];
    const code = !(key in zone) ? 3 : zone[key] === undefined ? 2 : 0;
    const header = Buffer.concat([
      query.subarray(0, 2),
      uint16(0x8180 | code, 1, records.length, 0, 0),
    ]);
    const answers = records.map((data) =>
      Buffer.concat([uint16(0xc00c, type, 1, 0, 60, data.length), data]),
    );
    socket.send(Buffer.concat([header, question, ...answers]), from.port, from.address);
  });
  await new Promise<void>((resolve) => socket.bind(0, "127.0.0.1", resolve));
  t.after(() => void socket.close());
  return `127.0.0.1:${socket.address().port}`;
}

async function discover(
  t: TestContext,
  options: { zone: Zone; type: Type; names: string[]; domains?: string[] },
) {
  const server = await serve(t, options.zone);
  const context = testContext();
  const mechanism = createDns(
    { names: options.names, type: options.type, port: 9100, refreshIntervalMs: 20 },
    context,
    { servers: [server], searchRules: { domains: options.domains ?? [], ndots: 1 } },
  );
  return { reports: TestReports.run(t, mechanism), context };
}

test("SRV records carry their port and target", async (t) => {
  const { reports } = await discover(t, {
    type: "SRV",
    names: ["_web._tcp.example.com"],
    zone: {
      "SRV _web._tcp.example.com": [
        Buffer.concat([uint16(1, 2, 8080), encodeName("a.example.com")]),
        Buffer.concat([uint16(1, 2, 8081), encodeName("b.example.com")]),
      ],
    },
  });
  const { groups, errors } = await reports.next();
  assert.deepEqual(errors, []);
  assert.equal(groups?.[0]?.source, "_web._tcp.example.com");
  const sorted = [...groups[0].targets].sort((a, b) =>
    a["__address__"]! < b["__address__"]! ? -1 : 1,
  );
  assert.deepEqual(sorted, [
    {
      __address__: "a.example.com:8080",
      __meta_dns_name: "_web._tcp.example.com",
      __meta_dns_srv_record_target: "a.example.com.",
      __meta_dns_srv_record_port: "8080",
    },
    {
      __address__: "b.example.com:8081",
      __meta_dns_name: "_web._tcp.example.com",
      __meta_dns_srv_record_target: "b.example.com.",
      __meta_dns_srv_record_port: "8081",
    },
  ]);
});

test("A, AAAA, MX and NS records take the configured port", async (t) => {
  const f = async (type: Type, record: Buffer, want: Record<string, string>): Promise<void> => {
    const { reports } = await discover(t, {
      type,
      names: ["x.test"],
      zone: { [`${type} x.test`]: [record] },
    });
    const { groups } = await reports.next();
    assert.deepEqual(groups?.[0]?.targets, [{ ...want, __meta_dns_name: "x.test" }]);
  };
  await f("A", Buffer.from([10, 0, 0, 1]), { __address__: "10.0.0.1:9100" });
  await f("AAAA", Buffer.from("20010db8000000000000000000000001", "hex"), {
    __address__: "[2001:db8::1]:9100",
  });
  await f("MX", Buffer.concat([uint16(10), encodeName("mail.x.test")]), {
    __address__: "mail.x.test:9100",
    __meta_dns_mx_record_target: "mail.x.test.",
  });
  await f("NS", encodeName("ns.x.test"), {
    __address__: "ns.x.test:9100",
    __meta_dns_ns_record_target: "ns.x.test.",
  });
});

test("a name that stops existing loses its targets, one whose server fails keeps them", async (t) => {
  const zone: Zone = {
    "A one.test": [Buffer.from([10, 0, 0, 1])],
    "A two.test": [Buffer.from([10, 0, 0, 2])],
  };
  const { reports, context } = await discover(t, {
    type: "A",
    names: ["one.test", "two.test"],
    zone,
  });
  await reports.addresses(["10.0.0.1:9100", "10.0.0.2:9100"]);
  zone["A one.test"] = undefined;
  const failing = await reports.next((finding) => finding.errors.length > 0);
  assert.deepEqual(failing.errors, [
    'could not resolve "one.test": all servers responded with errors to at least one search domain',
  ]);
  assert.equal(failing.groups?.length, 2);
  assert.match(context.registry.expose(), /prometheus_sd_dns_lookup_failures_total [1-9]/);
  delete zone["A one.test"];
  const { errors } = await reports.addresses(["10.0.0.2:9100"]);
  assert.deepEqual(errors, []);
});

test("a server that fails from the start gives no list at all", async (t) => {
  const { reports } = await discover(t, {
    type: "A",
    names: ["x.test"],
    zone: { "A x.test": undefined },
  });
  const finding = await reports.next();
  assert.equal(finding.groups, undefined);
  assert.equal(finding.errors.length, 1);
});

test("a name that has not been resolved yet makes the list partial", async (t) => {
  const zone: Zone = { "A one.test": [Buffer.from([10, 0, 0, 1])], "A two.test": undefined };
  const { reports } = await discover(t, { type: "A", names: ["one.test", "two.test"], zone });
  const lacking = await reports.addresses(["10.0.0.1:9100"]);
  assert.equal(lacking.isPartial, true);
  zone["A two.test"] = [Buffer.from([10, 0, 0, 2])];
  const whole = await reports.addresses(["10.0.0.1:9100", "10.0.0.2:9100"]);
  assert.equal(whole.isPartial, false);
});

test("short names are looked for along the search path", async (t) => {
  const { reports } = await discover(t, {
    type: "A",
    names: ["web"],
    domains: ["one.test", "two.test"],
    zone: { "A web.two.test": [Buffer.from([10, 0, 0, 9])] },
  });
  const { groups } = await reports.next();
  assert.deepEqual(groups?.[0]?.targets, [
    { __address__: "10.0.0.9:9100", __meta_dns_name: "web" },
  ]);
});

test("the search path is resolv.conf's", () => {
  const rules = parseSearchRules(
    "# c\nnameserver 1.1.1.1\ndomain d.test\nsearch a.test b.test. ; x\noptions ndots:2 rotate\n",
  );
  assert.deepEqual(rules, { domains: ["a.test", "b.test."], ndots: 2 });
  assert.deepEqual(candidateNames("x.y", rules), ["x.y.a.test", "x.y.b.test", "x.y"]);
  assert.deepEqual(candidateNames("x.y.z", rules), ["x.y.z", "x.y.z.a.test", "x.y.z.b.test"]);
  assert.deepEqual(candidateNames("x.", rules), ["x"]);
  assert.deepEqual(parseSearchRules(""), { domains: [], ndots: 1 });
});
