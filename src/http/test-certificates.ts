import { generateKeyPairSync, sign, X509Certificate, type KeyObject } from "node:crypto";
import { isIP } from "node:net";

/**
 * Certificates for tests, made on the fly, so that no key is ever checked in and no tool has to be there: X.509 v3 in
 * DER (RFC 5280), signed with ECDSA over P-256.
 */
export interface TestCertificate {
  /** PEM. */
  readonly cert: string;
  /** PEM. */
  readonly key: string;
}

export interface TestAuthority extends TestCertificate {
  /** A certificate for `hosts` (names and IPv4 addresses), for servers and clients; valid now unless `expired`. */
  issue(hosts: readonly string[], options?: { expired?: boolean }): TestCertificate;
}

export function createTestAuthority(name: string): TestAuthority {
  const keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const certify = (
    subject: string,
    publicKey: KeyObject,
    options: { extensions: Buffer; expired: boolean },
  ): string => {
    const body = sequence(
      tagged(0xa0, integer(2)),
      integer(Math.floor(Math.random() * 2 ** 31) + 1),
      ECDSA_SHA256,
      distinguishedName(name),
      sequence(
        utcTime(Date.now() - 2 * DAY_MS),
        utcTime(Date.now() + (options.expired ? -1 : 1) * DAY_MS),
      ),
      distinguishedName(subject),
      publicKey.export({ type: "spki", format: "der" }),
      tagged(0xa3, options.extensions),
    );
    const signature = sign("sha256", body, keys.privateKey);
    const der = sequence(body, ECDSA_SHA256, tagged(0x03, Buffer.from([0]), signature));
    return new X509Certificate(der).toString();
  };
  const basicConstraints = sequence(
    oid("551d13"),
    tagged(0x01, Buffer.from([0xff])),
    tagged(0x04, sequence(tagged(0x01, Buffer.from([0xff])))),
  );
  return {
    cert: certify(name, keys.publicKey, { extensions: sequence(basicConstraints), expired: false }),
    key: pem(keys.privateKey),
    issue(hosts, options = {}) {
      const own = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const names = hosts.map((host) =>
        isIP(host) === 4
          ? tagged(0x87, Buffer.from(host.split(".").map(Number)))
          : tagged(0x82, Buffer.from(host)),
      );
      const alternativeNames = sequence(oid("551d11"), tagged(0x04, sequence(...names)));
      const cert = certify(hosts[0]!, own.publicKey, {
        extensions: sequence(alternativeNames),
        expired: options.expired ?? false,
      });
      return { cert, key: pem(own.privateKey) };
    },
  };
}

const DAY_MS = 86_400_000;

function pem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }).toString();
}

function tagged(tag: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts);
  const { length } = body;
  const size =
    length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return tagged(0x30, ...parts);
}

function integer(value: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(value, 1);
  // Minimal form: no leading zero byte, unless the next one looks negative.
  let start = 0;
  while (start < 4 && bytes[start] === 0 && bytes[start + 1]! < 0x80) start++;
  return tagged(0x02, bytes.subarray(start));
}

function oid(hex: string): Buffer {
  return tagged(0x06, Buffer.from(hex, "hex"));
}

function distinguishedName(name: string): Buffer {
  const commonName = sequence(oid("550403"), tagged(0x0c, Buffer.from(name)));
  return sequence(tagged(0x31, commonName));
}

function utcTime(timeMs: number): Buffer {
  const text = new Date(timeMs).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return tagged(0x17, Buffer.from(`${text}Z`));
}

const ECDSA_SHA256 = sequence(oid("2a8648ce3d040302"));
