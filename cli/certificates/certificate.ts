/**
 * An authority of one's own and the certificates that it signs: X.509 version 3, ECDSA on P-256 (RFC 5280, RFC 5480).
 * For fleets and tests; Node has no writer for certificates.
 */

import { generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from 'node:crypto';
import { isIP, SocketAddress } from 'node:net';
import {
  around,
  bits,
  boolean,
  inPlaceOf,
  integer,
  objectId,
  octets,
  sequence,
  set,
  text,
  time,
} from './der.ts';

const OID = {
  commonName: '2.5.4.3',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
} as const;
const DAY_MS = 86_400_000;
/** Clocks differ: a new certificate counts from an hour ago. */
const BACKDATED_MS = 3_600_000;

export interface Certificate {
  /** PEM. */
  cert: string;
  key: string;
}

export interface Authority extends Certificate {
  name: string;
  privateKey: KeyObject;
}

interface Validity {
  nowMs: number;
  days: number;
}

/** Signs certificates and nothing else. */
export function newAuthority(name: string, validity: Validity): Authority {
  const keys = newKeys();
  const extensions = [
    extension(OID.basicConstraints, sequence(boolean(true)), { critical: true }),
    // keyCertSign, cRLSign
    extension(OID.keyUsage, bits(Buffer.from([0b0000_0110]), 1), { critical: true }),
  ];
  const cert = certificate({
    name,
    publicKey: keys.publicKey,
    extensions,
    validity,
    issuer: name,
    signer: keys.privateKey,
  });
  return { name, cert, key: pem(keys.privateKey), privateKey: keys.privateKey };
}

/** For a server and a client that is reached by these names and addresses. */
export function newCertificate(
  authority: Authority,
  { hosts, ...validity }: { hosts: readonly string[] } & Validity,
): Certificate {
  const keys = newKeys();
  const extensions = [
    extension(OID.basicConstraints, sequence(), { critical: true }),
    // digitalSignature
    extension(OID.keyUsage, bits(Buffer.from([0b1000_0000]), 7), { critical: true }),
    extension(OID.extendedKeyUsage, sequence(objectId(OID.serverAuth), objectId(OID.clientAuth))),
    extension(OID.alternativeNames, sequence(...hosts.map(generalName))),
  ];
  const cert = certificate({
    name: hosts[0] ?? 'stator',
    publicKey: keys.publicKey,
    extensions,
    validity,
    issuer: authority.name,
    signer: authority.privateKey,
  });
  return { cert, key: pem(keys.privateKey) };
}

interface Parts {
  name: string;
  publicKey: KeyObject;
  extensions: readonly Buffer[];
  validity: Validity;
  issuer: string;
  signer: KeyObject;
}

function certificate({ extensions, issuer, name, publicKey, signer, validity }: Parts): string {
  const { days, nowMs } = validity;
  const algorithm = sequence(objectId(OID.ecdsaWithSha256));
  const body = sequence(
    around(0, integer(Buffer.from([2]))),
    integer(serialNumber()),
    algorithm,
    nameOf(issuer),
    sequence(time(nowMs - BACKDATED_MS), time(nowMs + days * DAY_MS)),
    nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }),
    around(3, sequence(...extensions)),
  );
  const whole = sequence(body, algorithm, bits(sign('sha256', body, signer)));
  return new X509Certificate(whole).toString();
}

/** Random, above zero, and as short as DER wants it: its first byte is neither 0 nor negative. */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] as number) & 0x3f) | 0x40;
  return bytes;
}

const newKeys = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
const pem = (key: KeyObject): string => key.export({ type: 'pkcs8', format: 'pem' }).toString();
const nameOf = (name: string): Buffer => sequence(set(sequence(objectId(OID.commonName), text(name))));

const extension = (id: string, value: Buffer, { critical = false } = {}): Buffer =>
  sequence(objectId(id), ...(critical ? [boolean(true)] : []), octets(value));

function generalName(host: string): Buffer {
  const version = isIP(host);
  return version === 0 ? inPlaceOf(2, Buffer.from(host)) : inPlaceOf(7, addressBytes(host, version));
}

function addressBytes(host: string, version: number): Buffer {
  if (version === 4) return Buffer.from(host.split('.').map(Number));
  const groups = new SocketAddress({ address: host, family: 'ipv6' }).address.split('::');
  const [before = [], after = []] = groups.map((part) => (part === '' ? [] : part.split(':')));
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  const words = [...before, ...zeros, ...after].map((word) => Number.parseInt(word, 16));
  return Buffer.from(words.flatMap((word) => [word >> 8, word & 0xff]));
}
