/** `stator check`: types, lint, format and the house's own style test, in parallel; under a minute. */

import { spawn } from 'node:child_process';
import { defineCommand } from 'citty';
import { PROJECT_ROOT, packageBin } from '../paths.ts';

const CHECKS = [
  { name: 'types', args: [packageBin('typescript', 'bin/tsc'), '-p', '.', '--noEmit'] },
  {
    name: 'lint and format',
    args: [packageBin('@biomejs/biome', 'bin/biome'), 'check', '--error-on-warnings', '.'],
  },
  {
    name: 'style',
    args: [packageBin('vitest', 'vitest.mjs'), 'run', '--project', 'node', 'test/tidy.test.ts'],
  },
] as const;

interface Outcome {
  name: string;
  ok: boolean;
  text: string;
  ms: number;
}

function runCheck(check: (typeof CHECKS)[number]): Promise<Outcome> {
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [...check.args], {
      cwd: PROJECT_ROOT,
      env: { ...process.env, CI: '1' },
    });
    let text = '';
    child.stdout.on('data', (data) => {
      text += data;
    });
    child.stderr.on('data', (data) => {
      text += data;
    });
    child.on('close', (code) =>
      resolve({ name: check.name, ok: code === 0, text, ms: performance.now() - started }),
    );
  });
}

export const check = defineCommand({
  meta: { name: 'check', description: 'Types, lint, format and style.' },
  async run(): Promise<number> {
    const outcomes = await Promise.all(CHECKS.map(runCheck));
    for (const { name, ok, text, ms } of outcomes) {
      process.stdout.write(`${ok ? '✓' : '✗'} ${name} (${(ms / 1000).toFixed(1)} s)\n`);
      if (!ok) process.stdout.write(`${text}\n`);
    }
    return outcomes.every(({ ok }) => ok) ? 0 : 1;
  },
});
