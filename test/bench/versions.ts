/** What was measured with what: versions for every committed figure. */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { PROJECT_ROOT } from '../../cli/paths.ts';

function packageVersion(name: string): string {
  const file = join(PROJECT_ROOT, 'node_modules', name, 'package.json');
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

function commit(): string {
  try {
    return execFileSync('git', ['describe', '--always', '--dirty'], {
      cwd: PROJECT_ROOT,
      encoding: 'utf8',
    }).trim();
  } catch {
    return 'unknown';
  }
}

export function versions(): Record<string, string> {
  return {
    stator: commit(),
    node: process.versions.node,
    workerd: packageVersion('workerd'),
    hono: packageVersion('hono'),
    host: `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}`,
  };
}
