/** Secrets and the headers they come in. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { equalSecrets, requireApiKey, requireFleetToken } from '../../../functions/middleware/api-key.ts';

const request = (headers: Record<string, string>) => new Request('http://x/', { headers });

test('secrets are equal when they are, and only then', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => {
      expect(equalSecrets(a, b)).toBe(a === b);
      expect(equalSecrets(a, a)).toBe(true);
    }),
  );
});

test('a longer one that begins right is wrong', () => {
  expect(equalSecrets('secretx', 'secret')).toBe(false);
  expect(equalSecrets('secre', 'secret')).toBe(false);
  expect(equalSecrets('', 'secret')).toBe(false);
});

test('without a configured key everybody may ask; without a fleet token nobody is a worker', () => {
  expect(() => requireApiKey(request({}), '')).not.toThrow();
  expect(() => requireFleetToken(request({ authorization: 'Bearer ' }), '')).toThrow();
});

test.each([{ authorization: 'Bearer key' }, { authorization: 'bearer  key ' }, { 'x-api-key': 'key' }])(
  'the key is taken from %j',
  (headers) => expect(() => requireApiKey(request(headers as Record<string, string>), 'key')).not.toThrow(),
);

test.each([{}, { authorization: 'key' }, { authorization: 'Basic key' }, { 'x-api-key': 'Bearer key' }])(
  'and not from %j',
  (headers) => {
    expect(() => requireApiKey(request(headers as Record<string, string>), 'key')).toThrow(
      expect.objectContaining({ code: 'invalid_api_key' }),
    );
  },
);
