/** Which deployment `stator run` and `stator chat` talk to. */

import { expect, test } from 'vitest';
import { chooseTarget } from '../../../cli/chat/target.ts';

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
