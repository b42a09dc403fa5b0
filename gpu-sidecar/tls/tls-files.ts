/**
 * Certificates from files, checked when they are read: a start that would only fail at the first connection fails at once,
 * with one line that names the setting and the file. Nothing is watched: new files count from the next start.
 */

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { StatorError } from '../../durable/runtime/errors.ts';

/** PEM texts. */
export interface TlsFiles {
  cert: string;
  key: string;
  /** Authorities whose certificates are trusted; null: nobody's is asked for. */
  ca: string | null;
}

/** Paths of the files, and what to call them in errors. An empty `ca` means none. */
export interface TlsPaths {
  cert: string;
  key: string;
  ca: string;
  label: (file: 'cert' | 'key' | 'ca') => string;
}

export interface TlsChecks {
  /** Names and addresses that the certificate must be for. */
  hosts: readonly string[];
  /** The certificate must be one that `ca` has signed, or lead to one. */
  signedByCa: boolean;
  nowMs: number;
}

/** Throws StatorError `invalid_request`. */
export function readTls(paths: TlsPaths, { hosts, nowMs, signedByCa }: TlsChecks): TlsFiles {
  const wrong = (file: 'cert' | 'key' | 'ca', reason: string) =>
    wrongFile(paths.label(file), paths[file], reason);
  const read = (file: 'cert' | 'key' | 'ca'): string => readPem(paths.label(file), paths[file]);
  const chainOf = (file: 'cert' | 'ca', pem: string) => chainIn(pem, paths.label(file), paths[file]);

  const cert = read('cert');
  const key = read('key');
  const ca = paths.ca === '' ? null : read('ca');
  const chain = chainOf('cert', cert);
  const [own] = chain;
  const authorities = ca === null ? [] : chainOf('ca', ca);
  const privateKey = keyOf(key);
  if (typeof privateKey === 'string') throw wrong('key', privateKey);
  if (!own.checkPrivateKey(privateKey))
    throw wrong('key', `does not belong to the certificate ${paths.cert}`);
  if (nowMs > Date.parse(own.validTo)) throw wrong('cert', `expired on ${day(own.validTo)}`);
  if (nowMs < Date.parse(own.validFrom)) throw wrong('cert', `is not valid before ${day(own.validFrom)}`);
  for (const host of hosts) {
    if (!isFor(own, host)) throw wrong('cert', `is for ${namesOf(own)}, not for ${host}`);
  }
  if (signedByCa && !leadsTo(chain, authorities)) {
    throw wrong('cert', `is not signed by an authority of ${paths.ca}`);
  }
  return { cert, key, ca };
}

/** PEM of authorities alone, for who shows no certificate. Throws StatorError `invalid_request`. */
export function readAuthorities(path: string, label: string): string {
  const pem = readPem(label, path);
  chainIn(pem, label, path);
  return pem;
}

const wrongFile = (label: string, path: string, reason: string): StatorError =>
  new StatorError('invalid_request', `${label}: ${path} ${reason}`);

function readPem(label: string, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw wrongFile(label, path, code === 'ENOENT' ? 'is not there' : `cannot be read: ${message}`);
  }
}

function chainIn(pem: string, label: string, path: string): [X509Certificate, ...X509Certificate[]] {
  const chain = (pem.match(CERTIFICATE) ?? []).map((part) => parsed(part));
  const [first, ...rest] = chain;
  if (first == null || rest.includes(null)) throw wrongFile(label, path, 'is not a PEM certificate');
  return [first, ...(rest as X509Certificate[])];
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g;
const day = (date: string): string => new Date(date).toISOString().slice(0, 10);

function parsed(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

/** The key, or what is wrong with it. */
function keyOf(pem: string): KeyObject | string {
  if (pem.includes('ENCRYPTED')) return 'has a passphrase, and nobody could be asked for it';
  try {
    return createPrivateKey(pem);
  } catch {
    return 'is not a PEM private key';
  }
}

const isFor = (certificate: X509Certificate, host: string): boolean =>
  (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined;

const namesOf = ({ subject, subjectAltName }: X509Certificate): string =>
  (subjectAltName ?? subject).replace(/(DNS|IP Address):/g, '');

/** Does one of the chain come from an authority, or is it one? */
const leadsTo = (chain: readonly X509Certificate[], authorities: readonly X509Certificate[]): boolean =>
  chain.some((link) =>
    authorities.some(
      (authority) =>
        link.fingerprint256 === authority.fingerprint256 ||
        (link.checkIssued(authority) && link.verify(authority.publicKey)),
    ),
  );
