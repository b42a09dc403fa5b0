/** Can a suite that did not run, or not all of it, look green? */

import { describe, expect, test } from 'vitest';
import { tally } from '../../../cli/commands/test.ts';

const file = (status: string, tests: number) => ({
  status,
  name: 'a.test.ts',
  message: '',
  assertionResults: Array(tests).fill({}),
});
const report = (passed: number, failed: number, pending: number, testResults: ReturnType<typeof file>[]) => ({
  numPassedTests: passed,
  numFailedTests: failed,
  numPendingTests: pending,
  testResults,
});

describe('the count of a project', () => {
  test('is what the report says', () => {
    expect(tally(report(5, 2, 1, [file('passed', 5), file('failed', 3)]))).toEqual({
      passed: 5,
      failed: 2,
      skipped: 1,
    });
  });

  test('has a failure for each file that could not be loaded', () => {
    const results = [file('passed', 5), file('failed', 0), file('failed', 0)];
    expect(tally(report(5, 0, 0, results))).toEqual({ passed: 5, failed: 2, skipped: 0 });
  });

  test('has a failure when no test ran at all', () => {
    expect(tally(report(0, 0, 0, []))).toEqual({ passed: 0, failed: 1, skipped: 0 });
    expect(tally(report(0, 0, 7, [file('passed', 7)]))).toEqual({ passed: 0, failed: 1, skipped: 7 });
  });

  test('has a failure when there is no report', () => {
    expect(tally(null)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });
});
