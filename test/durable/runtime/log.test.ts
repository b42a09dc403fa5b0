/** Does every log call give exactly one readable JSON line, whatever its fields? */

import { expect, test } from 'vitest';
import { ManualClock } from '../../../durable/runtime/clock.ts';
import { StatorError } from '../../../durable/runtime/errors.ts';
import { Logger, type LoggerOptions } from '../../../durable/runtime/log.ts';

function logged(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const clock = new ManualClock(Date.UTC(2026, 10, 20));
  const log = new Logger({ component: 'router', clock, write: (line) => lines.push(line), ...options });
  return { lines, log };
}

test('a line is one JSON object with time, level, component, message and fields', () => {
  const { lines, log } = logged();
  log.with({ namespace: 'default' }).info('worker joined', { instance: 'a1' });
  expect(JSON.parse(lines[0]!)).toEqual({
    time: '2026-11-20T00:00:00.000Z',
    level: 'info',
    component: 'router',
    message: 'worker joined',
    namespace: 'default',
    instance: 'a1',
  });
  expect(lines[0]).not.toContain('\n');
});

test('lines below the level are not written', () => {
  const { lines, log } = logged({ level: 'warn' });
  log.debug('d');
  log.info('i');
  log.warn('w');
  log.error('e');
  expect(lines).toHaveLength(2);
});

test('no field takes the place of time, level, component or message', () => {
  const { lines, log } = logged();
  log.info('joined', { message: 'forged', level: 'error' });
  expect(JSON.parse(lines[0]!)).toMatchObject({ message: 'joined', level: 'info' });
});

test('whatever the fields are, a line comes out', () => {
  const { lines, log } = logged();
  const circle: Record<string, unknown> = {};
  circle['self'] = circle;
  log.info('odd', { big: 12n, circle });
  log.info('bad', { error: new StatorError('no_workers', 'nobody'), cause: new TypeError('x') });
  expect(JSON.parse(lines[0]!)).toMatchObject({ message: 'odd', big: '12' });
  expect(JSON.parse(lines[1]!)).toMatchObject({
    error: { code: 'no_workers', message: 'nobody' },
    cause: { name: 'TypeError', message: 'x' },
  });
});
