/** `stator bench [WHAT]`: hands over to test/bench, one program for each thing that is measured. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { PROJECT_ROOT } from '../paths.ts';

/** What is measured: `test/bench/<name>.ts`. The first is the default. */
const PROGRAMS = [
  'serving',
  'index',
  'parsers',
  'grammar',
  'router',
  'policy',
  'kvbm-eviction',
  'prefill-queue',
  'transfer',
  'request-planes',
] as const;

export const bench = defineCommand({
  meta: {
    name: 'bench',
    description: `Measure ${PROGRAMS.join(' or ')}; --help lists the options.`,
  },
  run({ rawArgs }): Promise<number> {
    const named = PROGRAMS.find((name) => name === rawArgs[0]);
    const file = join(PROJECT_ROOT, 'test', 'bench', `${named ?? PROGRAMS[0]}.ts`);
    const child = spawn(process.execPath, [file, ...rawArgs.slice(named ? 1 : 0)], { stdio: 'inherit' });
    return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  },
});
