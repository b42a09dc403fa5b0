/**
 * `stator test`: runs the test projects and closes with `N passed, N failed` (and `N skipped` where there are any).
 *
 * Default: everything that needs only Node (`node`, `workers`, `objects`, `e2e`). `--servers`: what needs real servers and Python
 * clients, installed by test/servers' own scripts. A project that ran no test is a failure: a suite that silently does
 * not run would otherwise look green.
 */

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { PROJECT_ROOT, packageBin } from '../paths.ts';

const DEFAULT_PROJECTS = ['node', 'workers', 'objects', 'e2e'];

interface VitestReport {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  testResults: { status: string; name: string; message: string; assertionResults: unknown[] }[];
}

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

/** Counts of one project; a file that failed to load counts as one failure, no test at all as one, too. */
export function tally(report: VitestReport | null): Tally {
  if (!report) return { passed: 0, failed: 1, skipped: 0 };
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  ).length;
  const failed = report.numFailedTests + broken;
  const nothingRan = report.numPassedTests + failed === 0;
  return {
    passed: report.numPassedTests,
    failed: nothingRan ? 1 : failed,
    skipped: report.numPendingTests,
  };
}

async function runProject(project: string, extra: readonly string[]): Promise<Tally> {
  const folder = mkdtempSync(join(tmpdir(), 'stator-test-'));
  const reportFile = join(folder, 'report.json');
  const args = [packageBin('vitest', 'vitest.mjs'), 'run', '--project', project];
  args.push('--reporter=default', '--reporter=json', `--outputFile.json=${reportFile}`, ...extra);
  process.stdout.write(`\n── ${project} ──\n`);
  const code = await new Promise<number | null>((resolve) => {
    const child = spawn(process.execPath, args, {
      cwd: PROJECT_ROOT,
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    child.on('close', resolve);
  });
  const counted = tally(readReport(reportFile));
  rmSync(folder, { recursive: true, force: true });
  // vitest also fails on unhandled errors, which no test's count shows.
  return code !== 0 && counted.failed === 0 ? { ...counted, failed: 1 } : counted;
}

function readReport(file: string): VitestReport | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  } catch {
    return null;
  }
}

export const test = defineCommand({
  meta: { name: 'test', description: 'Run the tests.' },
  args: {
    only: { type: 'string', description: 'Only this project: node, workers, objects, e2e or servers.' },
    servers: {
      type: 'boolean',
      description: 'The tests that need real servers and other clients.',
      default: false,
    },
  },
  async run({ args }): Promise<number> {
    const projects = args.only ? [args.only] : args.servers ? ['servers'] : DEFAULT_PROJECTS;
    const sum: Tally = { passed: 0, failed: 0, skipped: 0 };
    for (const project of projects) {
      const { passed, failed, skipped } = await runProject(project, args._);
      sum.passed += passed;
      sum.failed += failed;
      sum.skipped += skipped;
      if (failed > 0) process.stdout.write(`project ${project}: ${failed} failed\n`);
    }
    const skipped = sum.skipped > 0 ? `, ${sum.skipped} skipped` : '';
    process.stdout.write(`\n${sum.passed} passed, ${sum.failed} failed${skipped}\n`);
    return sum.failed === 0 ? 0 : 1;
  },
});
