/** Where clients, workers and commands reach a deployment with TLS, and which names a certificate must have. */

import { expect, test } from 'vitest';
import { controlOf, deploymentTls, withFleetListen } from '../../../cli/launch/tls.ts';
import { resolveSettings, type Settings } from '../../../durable/runtime/config.ts';
import { certificateAuthority } from '../../harness/certificate-files.ts';

const authority = certificateAuthority('launch');
const named = authority.issue(['llm.example']);
const local = authority.issue(['127.0.0.1']);
const settings = (more: Partial<Settings>): Settings => ({ ...resolveSettings([]), ...more });
const https = { tlsCert: named.cert, tlsKey: named.key };
const fleet = { fleetTlsCert: local.cert, fleetTlsKey: local.key, fleetTlsCa: local.ca };
const URL = 'https://127.0.0.1:8787';

test('without TLS all use the one address', async () => {
  const plain = settings({});
  expect(await withFleetListen(plain)).toBe(plain);
  expect(controlOf(plain, 'http://127.0.0.1:8787')).toEqual({ url: 'http://127.0.0.1:8787', tls: null });
  expect(deploymentTls(plain, Date.now())).toEqual({ http: null, fleet: null });
});

test('with https for clients the fleet has a plain address on loopback', async () => {
  const complete = await withFleetListen(settings(https));
  expect(complete.fleetListen).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(controlOf(complete, URL)).toEqual({ url: `http://${complete.fleetListen}`, tls: null });
});

test('with certificates of its own it has TLS there, at the address that is given', async () => {
  const given = settings({ ...fleet, fleetListen: '0.0.0.0:9443' });
  expect(await withFleetListen(given)).toBe(given);
  const { cert, key, ca } = local;
  expect(controlOf(given, URL)).toEqual({ url: 'https://127.0.0.1:9443', tls: { cert, key, ca } });
});

test('a name to listen on must be in the certificate, an address need not; the fleet dials what is there', () => {
  const read = (more: Partial<Settings>) => () => deploymentTls(settings(more), Date.now());
  expect(read({ ...https, host: '10.0.0.1' })().http).toEqual({ ...named.pem, ca: null });
  expect(read({ ...https, host: 'llm.example' })().http?.cert).toBe(named.pem.cert);
  expect(read({ ...https, host: 'localhost' })).toThrow('--tls-cert: ');
  expect(read({ ...fleet, fleetListen: '127.0.0.1:1' })().fleet).toEqual(local.pem);
  expect(read({ ...fleet, fleetListen: '[::1]:1' })).toThrow('is for 127.0.0.1, not for ::1');
  expect(read({ ...https, tlsClientCa: named.key })).toThrow(`--tls-client-ca: ${named.key} is not a PEM`);
});
