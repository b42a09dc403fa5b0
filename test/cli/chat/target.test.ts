/** Which deployment `stator run` and `stator chat` talk to. */

import { expect, test } from 'vitest';
import { askedTarget, chooseTarget } from '../../../cli/chat/target.ts';

const plain = (url: string, apiKey: string) => ({ url, control: { url, tls: null }, apiKey });
const here = plain('http://127.0.0.1:8787', 'sk-here');

test('the one that runs here, with the key that it was started with', () => {
  expect(chooseTarget({}, [here])).toEqual(here);
  expect(chooseTarget({ apiKey: 'mine' }, [here])).toEqual({ ...here, apiKey: 'mine' });
});

test('an address wins, as people write it; the key of a known one goes along', () => {
  const other = plain('http://127.0.0.1:9000', 'sk-other');
  expect(chooseTarget({ url: 'http://127.0.0.1:9000/v1/' }, [here, other])).toEqual(other);
  expect(chooseTarget({ url: 'https://elsewhere' }, [here])).toEqual(plain('https://elsewhere', ''));
  expect(() => chooseTarget({ url: 'localhost:1' }, [])).toThrow('--url: localhost:1');
});

test('where TLS is on it goes by the address of its own', () => {
  const tls = { cert: 'c.pem', key: 'k.pem', ca: 'ca.pem' };
  const secured = { url: 'https://llm', control: { url: 'https://127.0.0.1:1', tls }, apiKey: '' };
  expect(chooseTarget({}, [secured])).toEqual(secured);
  expect(chooseTarget({ url: 'https://llm' }, [secured])).toEqual(secured);
});

test('nothing runs: how to start something; several run: their addresses', () => {
  expect(() => chooseTarget({}, [])).toThrow('`npm start`');
  expect(() => chooseTarget({}, [here, { ...here, url: 'http://x' }])).toThrow(
    '(http://127.0.0.1:8787, http://x): choose with --url',
  );
});

test('a certificate is shown to the address that was named, by options before environment', () => {
  const files = { 'tls-client-cert': 'c.pem', 'tls-client-key': 'k.pem' };
  const env = { STATOR_TLS_CLIENT_CERT: 'other.pem', STATOR_TLS_CA: 'ca.pem', STATOR_API_KEY: 'sk' };
  const tls = { cert: 'c.pem', key: 'k.pem', ca: 'ca.pem', ownsFlags: true };
  const asked = askedTarget({ url: 'https://llm', ...files }, env);
  expect(asked).toEqual({ url: 'https://llm', apiKey: 'sk', tls });
  expect(chooseTarget(asked, [here]).control).toEqual({ url: 'https://llm', tls });
  expect(chooseTarget({ ...asked, url: here.url }, [here]).control).toEqual(here.control);
  expect(askedTarget({ url: 'https://llm' }, {})).toMatchObject({ tls: null });
});

test('half of a certificate is refused, and one that nobody would see', () => {
  expect(() => askedTarget({ url: 'https://llm', 'tls-client-key': 'k.pem' }, {})).toThrow(
    '--tls-client-key wants --tls-client-cert',
  );
  expect(() => askedTarget({ 'tls-ca': 'ca.pem' }, {})).toThrow('--url');
});
