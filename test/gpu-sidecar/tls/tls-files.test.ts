/** Certificates that cannot work are refused at the start, with the setting, the file and the reason. */

import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { newAuthority, newCertificate } from '../../../cli/certificates/certificate.ts';
import { readTls } from '../../../gpu-sidecar/tls/tls-files.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-tls-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const DAY_MS = 86_400_000;
const hosts = ['worker.example', '127.0.0.1'];
const authority = newAuthority('one', { nowMs: NOW_MS, days: 30 });
const good = newCertificate(authority, { hosts, nowMs: NOW_MS, days: 30 });
const old = newCertificate(authority, { hosts, nowMs: NOW_MS - 40 * DAY_MS, days: 30 });
const early = newCertificate(authority, { hosts, nowMs: NOW_MS + 2 * DAY_MS, days: 30 });
const secret = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({
  type: 'pkcs8',
  format: 'pem',
  cipher: 'aes-256-cbc',
  passphrase: 'secret',
});

const cert = file('cert.pem', good.cert);
const key = file('key.pem', good.key);
const ca = file('ca.pem', authority.cert);
const text = file('text.pem', 'once upon a time');
const missing = join(folder, 'missing.pem');

const read = (paths: Partial<{ cert: string; key: string; ca: string }>, checks = {}) =>
  readTls(
    { cert, key, ca, ...paths, label: (name) => `--${name}` },
    { hosts, signedByCa: true, nowMs: NOW_MS, ...checks },
  );

test('good files are read as they are; a chain may lead to the authority', () => {
  expect(read({})).toEqual({ cert: good.cert, key: good.key, ca: authority.cert });
  expect(read({ ca: '' }, { signedByCa: false }).ca).toBeNull();
  const chain = file('chain.pem', `${good.cert}${authority.cert}`);
  expect(read({ cert: chain }).cert).toContain(authority.cert);
});

const cases: [string, () => unknown, string][] = [
  ['a missing certificate', () => read({ cert: missing }), `--cert: ${missing} is not there`],
  ['a missing key', () => read({ key: missing }), `--key: ${missing} is not there`],
  ['a folder', () => read({ ca: folder }), `--ca: ${folder} cannot be read`],
  ['a text as a certificate', () => read({ cert: text }), `--cert: ${text} is not a PEM certificate`],
  ['a key as a certificate', () => read({ cert: key }), `--cert: ${key} is not a PEM certificate`],
  ['a text as an authority', () => read({ ca: text }), `--ca: ${text} is not a PEM certificate`],
  ['a certificate as a key', () => read({ key: cert }), `--key: ${cert} is not a PEM private key`],
  ['a key with a passphrase', () => read({ key: file('secret.pem', String(secret)) }), 'has a passphrase'],
  [
    'a key of another certificate',
    () => read({ key: file('other.pem', old.key) }),
    `does not belong to the certificate ${cert}`,
  ],
  [
    'an expired certificate',
    () => read({ cert: file('old.pem', old.cert), key: file('old-key.pem', old.key) }),
    'old.pem expired on 2026-11-11',
  ],
  [
    'a certificate of tomorrow',
    () => read({ cert: file('early.pem', early.cert), key: file('early-key.pem', early.key) }),
    'early.pem is not valid before 2026-11-23',
  ],
  [
    'a certificate for another host',
    () => read({}, { hosts: ['10.0.0.1'] }),
    `--cert: ${cert} is for worker.example, 127.0.0.1, not for 10.0.0.1`,
  ],
  [
    'a certificate of another authority',
    () => read({ ca: file('stranger.pem', newAuthority('one', { nowMs: NOW_MS, days: 30 }).cert) }),
    `--cert: ${cert} is not signed by an authority of`,
  ],
];

test.each(cases)('%s', (_name, run, says) => {
  let thrown: unknown;
  try {
    run();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toMatchObject({ code: 'invalid_request', message: expect.stringContaining(says) });
  expect((thrown as Error).message).not.toContain('\n');
});
