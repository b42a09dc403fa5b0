/** Certificates of our own, read by Node's own reader. */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { newAuthority, newCertificate } from '../../../cli/certificates/certificate.ts';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const validity = { nowMs: NOW_MS, days: 30 };
const authority = newAuthority('Test authority', validity);
const root = new X509Certificate(authority.cert);

test('an authority signs itself and may sign others', () => {
  expect(root.ca).toBe(true);
  expect(root.checkIssued(root)).toBe(true);
  expect(root.verify(root.publicKey)).toBe(true);
});

test('a certificate is for its names and addresses, from an hour ago until its days are over', () => {
  const hosts = ['worker-1.example', '10.1.2.3', '::1', 'fe80::1:2'];
  const { cert, key } = newCertificate(authority, { hosts, ...validity });
  const own = new X509Certificate(cert);
  expect([own.ca, own.checkIssued(root), own.verify(root.publicKey)]).toEqual([false, true, true]);
  expect(own.checkPrivateKey(createPrivateKey(key))).toBe(true);
  expect(own.checkHost('worker-1.example')).toBe('worker-1.example');
  expect(own.checkHost('worker-2.example')).toBeUndefined();
  for (const address of hosts.slice(1)) expect(own.checkIP(address)).toBe(address);
  expect(Date.parse(own.validFrom)).toBe(NOW_MS - 3_600_000);
  expect(Date.parse(own.validTo)).toBe(NOW_MS + 30 * 86_400_000);
});

test('whatever name an authority has, Node reads it back', () => {
  const name = fc.string({ minLength: 1, maxLength: 300, unit: fc.constantFrom(...'abcdefg 0123é漢') });
  fc.assert(
    fc.property(name, (text) => {
      const { subject } = new X509Certificate(newAuthority(`x${text}x`, validity).cert);
      expect(subject).toBe(`CN=x${text}x`);
    }),
    { numRuns: 30 },
  );
});
