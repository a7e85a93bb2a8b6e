import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CHUNK_LINE_MAX_BYTES, HEAD_MAX_BYTES, ResponseParser } from "./plain-response.ts";

/** What came out of `pieces`: "status text|header=value …|body|end reusable +unread bytes", or the error. */
function read(pieces: readonly Buffer[], options: { closed?: boolean } = {}): string {
  let text = "";
  const body: Buffer[] = [];
  let hasEnded = false;
  const parser = new ResponseParser({
    onHead: ({ status, statusText, headers }) => {
      const fields = Object.keys(headers).map((name) => `${name}=${String(headers[name])}`);
      text += `${status} ${statusText}|${fields.join(" ")}|`;
    },
    onData: (bytes, start, end) => body.push(Buffer.from(bytes.subarray(start, end))),
    onEnd: () => {
      hasEnded = true;
    },
  });
  let unread = 0;
  try {
    for (const piece of pieces) {
      // As a connection does: bytes lie at the front of a larger buffer with anything behind them.
      const buffer = Buffer.concat([piece, Buffer.from("\r\n0\r\n\r\nHTTP/1.1 500 stale\r\n")]);
      unread += piece.length - parser.push(buffer, piece.length);
    }
    if (options.closed === true) parser.finish();
  } catch (error) {
    return `${text}${Buffer.concat(body).toString()}|${(error as Error).message}`;
  }
  assert.equal(hasEnded, parser.isDone);
  text += Buffer.concat(body).toString();
  if (!hasEnded) return `${text}|more`;
  return `${text}|${parser.isReusable ? "keep" : "close"}${unread > 0 ? ` +${unread}` : ""}`;
}

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll("\n", "\r\n"), "utf8");

test("answers end where their framing says", () => {
  const f = (text: string, want: string, closed = false): void =>
    assert.equal(read([bytes(text)], { closed }), want, JSON.stringify(text));
  f("HTTP/1.1 200 OK\nContent-Length: 3\n\nabc", "200 OK|content-length=3|abc|keep");
  f("HTTP/1.1 200 OK\nContent-Length: 0\n\n", "200 OK|content-length=0||keep");
  f("HTTP/1.1 200\nContent-Length: 1\n\nx", "200 |content-length=1|x|keep");
  f("HTTP/1.1 200 OK\nContent-Length: 3\n\nabcHTTP", "200 OK|content-length=3|abc|keep +4");
  f("HTTP/1.1 200 OK\nContent-Length: 3\n\nab", "200 OK|content-length=3|ab|more");
  f("HTTP/1.1 200 OK\nContent-Length: 3\n\nab", "200 OK|content-length=3|ab|unexpected EOF", true);
  f("HTTP/1.1 200 O", "|unexpected EOF", true);
  f("HTTP/1.1 204 No Content\nContent-Length: 3\n\n", "204 No Content|content-length=3||keep");
  f("HTTP/1.1 304 Not Modified\n\nHTTP", "304 Not Modified|||keep +4");
  f("HTTP/1.1 200 OK\n\nall of it", "200 OK||all of it|more");
  f("HTTP/1.1 200 OK\n\nall of it", "200 OK||all of it|close", true);
  f("HTTP/1.0 200 OK\n\nx", "200 OK||x|close", true);
  f("HTTP/1.0 200 OK\nContent-Length: 1\n\nx", "200 OK|content-length=1|x|close");
  f(
    "HTTP/1.0 200 OK\nConnection: Keep-Alive\nContent-Length: 1\n\nx",
    "200 OK|connection=Keep-Alive content-length=1|x|keep",
  );
  f(
    "HTTP/1.1 200 OK\nConnection: x, Close\nContent-Length: 1\n\nx",
    "200 OK|connection=x, Close content-length=1|x|close",
  );
  const chunked = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n";
  const head = "200 OK|transfer-encoding=chunked|";
  f(`${chunked}3\nabc\n1\nd\n0\n\n`, `${head}abcd|keep`);
  f(`${chunked}0\n\n`, `${head}|keep`);
  f(`${chunked}003;a=b;c="d e"\nabc\nA \n0123456789\n0;x\n\n`, `${head}abc0123456789|keep`);
  f(`${chunked}1\na\n0\nTrailer: x\nOther: y\n\nmore`, `${head}a|keep +4`);
  f(`${chunked}1\na\n0\n`, `${head}a|unexpected EOF`, true);
  f(
    "HTTP/1.1 100 Continue\nX: y\n\nHTTP/1.1 103 Early Hints\n\nHTTP/1.1 200 OK\nContent-Length: 1\n\nx",
    "200 OK|content-length=1|x|keep",
  );
  // Bare newlines, as Go takes them.
  assert.equal(
    read([Buffer.from("HTTP/1.1 200 OK\nContent-Length: 1\n\nx")]),
    "200 OK|content-length=1|x|keep",
  );
});

test("headers: values joined by the reader, names in lower case, any name an own property", () => {
  const f = (fields: string, want: string): void =>
    assert.equal(
      read([bytes(`HTTP/1.1 200 OK\n${fields}\nContent-Length: 0\n\n`)]),
      `200 OK|${want} content-length=0||keep`,
    );
  f("Set-Cookie: a\nset-cookie: b", "set-cookie=a,b");
  f("__proto__: x\nconstructor: y", "__proto__=x constructor=y");
  f("X:\t a b \t", "x=a b");
  f("X:", "x=");
  f("X-Name: schön", "x-name=schön");
});

test("what is no answer is refused in words", () => {
  const f = (text: string, want: string): void =>
    assert.equal(
      read([bytes(text)])
        .split("|")
        .at(-1),
      want,
      JSON.stringify(text),
    );
  f("\n", 'malformed HTTP response ""');
  f("SSH-2.0-OpenSSH\n", 'malformed HTTP response "SSH-2.0-OpenSSH"');
  f("HTTP/2 200 OK\n", 'malformed HTTP response "HTTP/2 200 OK"');
  f("HTTP/1.1 099 No\n", 'malformed HTTP response "HTTP/1.1 099 No"');
  f("HTTP/1.1 101 Switching\n\n", "unexpected HTTP status 101");
  f("HTTP/1.1 200 OK\nno colon\n\n", 'malformed HTTP header "no colon"');
  f("HTTP/1.1 200 OK\n: x\n\n", 'malformed HTTP header ": x"');
  f("HTTP/1.1 200 OK\nX : y\n\n", 'malformed HTTP header "X : y"');
  f("HTTP/1.1 200 OK\nX: y\n folded\n\n", 'malformed HTTP header " folded"');
  f("HTTP/1.1 200 OK\nX: a\u0000b\n\n", 'malformed HTTP header "X: a\\u0000b"');
  const length = (value: string): string => `HTTP/1.1 200 OK\nContent-Length: ${value}\n\n`;
  f(length("-1"), 'bad Content-Length "-1"');
  f(length("1x"), 'bad Content-Length "1x"');
  f(length(""), 'bad Content-Length ""');
  f(length("9999999999999999"), 'bad Content-Length "9999999999999999"');
  f(length("1, 2"), 'bad Content-Length "1, 2"');
  f(length("1\nContent-Length: 2"), 'bad Content-Length "1,2"');
  assert.match(read([bytes(`${length("1\nContent-Length: 1")}x`)]), /\|x\|keep$/);
  const encoded = (value: string): string => `HTTP/1.1 200 OK\nTransfer-Encoding: ${value}\n\n`;
  f(encoded("gzip"), 'unsupported transfer encoding: "gzip"');
  f(encoded("gzip, chunked"), 'unsupported transfer encoding: "gzip, chunked"');
  const chunked = encoded("Chunked");
  f(`${chunked}x\n`, "invalid byte in chunk length");
  f(`${chunked}\n`, "invalid byte in chunk length");
  f(`${chunked}-1\n`, "invalid byte in chunk length");
  f(`${chunked}0x1\n`, "invalid byte in chunk length");
  f(`${chunked}1000000000000\n`, "invalid byte in chunk length");
  f(`${chunked}2\nabc\n`, "malformed chunked encoding");
  f(`${chunked}2\na\n0\n\n`, "malformed chunked encoding");
  // A bare newline may stand between headers, not between chunks, where readers disagree on it.
  const bare = (text: string): string | undefined =>
    read([bytes(chunked), Buffer.from(text)])
      .split("|")
      .at(-1);
  assert.equal(bare("1\r\na\r\n0\r\n\r\n"), "keep");
  assert.equal(bare("1\na\r\n0\r\n\r\n"), "malformed chunked encoding");
  assert.equal(bare("1\r\na\n0\r\n\r\n"), "malformed chunked encoding");
  // A length beside chunks: chunks count, but the connection is not used again.
  assert.equal(
    read([bytes("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nContent-Length: 9\n\n1\na\n0\n\n")]),
    "200 OK|transfer-encoding=chunked content-length=9|a|close",
  );
});

test("heads, trailers and chunk sizes have limits", () => {
  const tooLarge = `response headers are larger than ${HEAD_MAX_BYTES} bytes`;
  const long = "x".repeat(1000);
  const many = `X: ${long}\n`.repeat(Math.ceil(HEAD_MAX_BYTES / 1000));
  const f = (text: string, want: string): void => {
    const all = bytes(text);
    assert.equal(read([all]).split("|").at(-1), want);
    const pieces = [];
    for (let at = 0; at < all.length; at += 700) pieces.push(all.subarray(at, at + 700));
    assert.equal(read(pieces).split("|").at(-1), want);
  };
  f(`HTTP/1.1 200 ${"y".repeat(HEAD_MAX_BYTES)}`, tooLarge);
  f(`HTTP/1.1 200 OK\n${many}`, tooLarge);
  f("HTTP/1.1 100 Continue\n\n".repeat(HEAD_MAX_BYTES / 20), tooLarge);
  const chunked = "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n";
  f(`${chunked}1\na\n0\n${many}`, tooLarge);
  const sizeLine = `chunk size line is longer than ${CHUNK_LINE_MAX_BYTES} bytes`;
  f(`${chunked}1;${"e".repeat(CHUNK_LINE_MAX_BYTES)}\na\n0\n\n`, sizeLine);
  f(`${chunked}1\na${" ".repeat(CHUNK_LINE_MAX_BYTES + 1)}`, sizeLine);
  f(`${chunked}1;${"e".repeat(CHUNK_LINE_MAX_BYTES - 10)}\na\n0\n\n`, "keep");
  f(`HTTP/1.1 200 OK\n${`X: ${long}\n`.repeat(60)}Content-Length: 0\n\n`, "keep");
});

test("it does not matter where the bytes are cut", () => {
  const samples = [
    "HTTP/1.1 200 OK\nContent-Type: text/plain; charset=utf-8\nX-Ü: 1\nContent-Length: 5\n\nabcde",
    "HTTP/1.1 100 Continue\n\nHTTP/1.1 200 OK\nX: schön\nTransfer-Encoding: chunked\n\n3;a=b\nabc\nA\n0123456789\n0\nT: x\n\n",
    "HTTP/1.1 200 OK\nConnection: close\n\nto the end\n",
    "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabcd\n",
  ].map(bytes);
  for (const sample of samples) {
    const whole = read([sample], { closed: true });
    for (let i = 0; i <= sample.length; i++)
      assert.equal(
        read([sample.subarray(0, i), sample.subarray(i)], { closed: true }),
        whole,
        `cut at ${i}`,
      );
    const single = Array.from(sample, (byte) => Buffer.from([byte]));
    assert.equal(read(single, { closed: true }), whole);
  }
});

test("any body comes through in any framing, cut anywhere; garbage only ever throws errors", () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ minLength: 1, maxLength: 50 }), { maxLength: 6 }),
      fc.boolean(),
      fc.array(fc.nat(400), { maxLength: 8 }),
      (parts, isChunked, cuts) => {
        const body = Buffer.concat(parts);
        const framed = isChunked
          ? Buffer.concat([
              bytes("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n"),
              ...parts.flatMap((part) => [
                bytes(`${part.length.toString(16)}\n`),
                part,
                bytes("\n"),
              ]),
              bytes("0\n\n"),
            ])
          : Buffer.concat([bytes(`HTTP/1.1 200 OK\nContent-Length: ${body.length}\n\n`), body]);
        const ends = [...cuts.filter((cut) => cut < framed.length), framed.length];
        ends.sort((a, b) => a - b);
        const pieces = ends.map((end, i) => framed.subarray(i === 0 ? 0 : ends[i - 1], end));
        const seen: Buffer[] = [];
        const parser = new ResponseParser({
          onHead: () => {},
          onData: (from, start, end) => seen.push(Buffer.from(from.subarray(start, end))),
          onEnd: () => {},
        });
        for (const piece of pieces) assert.equal(parser.push(piece, piece.length), piece.length);
        assert.ok(parser.isDone && parser.isReusable);
        assert.deepEqual(Buffer.concat(seen), body);
      },
    ),
  );
  fc.assert(
    fc.property(fc.string({ unit: "binary-ascii", maxLength: 200 }), (text) => {
      read([Buffer.from(`HTTP/1.1 200 OK\r\n${text}`)], { closed: true });
      read([Buffer.from(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}`)]);
    }),
  );
});
