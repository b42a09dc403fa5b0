/** Disaggregation over NIXL, whose library is found in the Python package as on a user's machine. */

import { delimiter, dirname } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { randomSource } from '../bench/prompts.ts';
import { answersOfOne, prompts, sameAnswersOver } from '../harness/disaggregated.ts';
import { pythonWithPackages } from './python.ts';

const path = process.env['PATH'] ?? '';
const REQUESTS = 12;
const SEED = Date.now() % 1_000_000;

beforeAll(async () => {
  // `python3` is then the one that has the package, for the sidecars, too.
  process.env['PATH'] = `${dirname(await pythonWithPackages())}${delimiter}${path}`;
}, 600_000);
afterAll(() => {
  process.env['PATH'] = path;
});

test(`answers of two prefill and two decode workers are those of one (seed ${SEED})`, async () => {
  const asked = prompts(REQUESTS, randomSource(SEED));
  await sameAnswersOver('nixl', { asked, expected: await answersOfOne(asked) });
}, 600_000);
