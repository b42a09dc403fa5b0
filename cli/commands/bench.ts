/** `stator bench`: hands over to test/bench, which starts real deployments and measures them. */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { PROJECT_ROOT } from '../paths.ts';

export const bench = defineCommand({
  meta: {
    name: 'bench',
    description: 'Measure the cost per request and per token; --help lists the options.',
  },
  run({ rawArgs }): Promise<number> {
    const child = spawn(process.execPath, [join(PROJECT_ROOT, 'test', 'bench', 'serving.ts'), ...rawArgs], {
      stdio: 'inherit',
    });
    return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  },
});
