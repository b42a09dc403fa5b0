/**
 * `stator score`: how many of the held-out questions the built-in model answers right. Without `--url` it starts a
 * deployment of its own on a free port and ends it again; all other options go to gpu-sidecar/models/tiny/score.ts.
 */

import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { defineCommand } from 'citty';
import { resolveSettings } from '../../durable/runtime/config.ts';
import { createDeployment } from '../launch/deployment.ts';
import { freePort } from '../launch/ports.ts';
import { PROJECT_ROOT } from '../paths.ts';

const SCRIPT = join(PROJECT_ROOT, 'gpu-sidecar', 'models', 'tiny', 'score.ts');

function runScore(args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [SCRIPT, ...args], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

export const score = defineCommand({
  meta: {
    name: 'score',
    description: 'Ask the built-in model its held-out questions and count the right answers.',
  },
  async run({ rawArgs }): Promise<number> {
    if (rawArgs.some((arg) => arg === '--url' || arg.startsWith('--url='))) return runScore(rawArgs);
    const settings = { ...resolveSettings([]), port: await freePort() };
    const deployment = await createDeployment(settings);
    try {
      await deployment.start();
      return await runScore([...rawArgs, '--url', `${deployment.url}/v1`]);
    } finally {
      await deployment.stop(2_000);
    }
  },
});
