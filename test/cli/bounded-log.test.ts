/** Does a log stay within its bound, and keep what was written last? */

import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { BoundedLog } from '../../cli/launch/bounded-log.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-log-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('a log past its bound moves aside, and the last lines are there', () => {
  const file = join(folder, 'a.log');
  const log = new BoundedLog(file, 100);
  for (let line = 0; line < 1_000; line++) log.write(`line ${line}\n`);
  expect(statSync(file).size).toBeLessThanOrEqual(110);
  expect(statSync(`${file}.1`).size).toBeLessThanOrEqual(110);
  expect(readFileSync(file, 'utf8')).toContain('line 999\n');
});

test('a log that was there already counts', () => {
  const file = join(folder, 'b.log');
  new BoundedLog(file, 100).write('x'.repeat(150));
  const again = new BoundedLog(file, 100);
  again.write('new\n');
  expect(readFileSync(file, 'utf8')).toBe('new\n');
});
