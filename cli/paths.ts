/** Where things are: the project, its state folder, the binaries that packages carry. */

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const PROJECT_ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Builds, logs, object storage and the records of running deployments; `STATOR_HOME` moves it. */
export const STATE_DIR = process.env['STATOR_HOME'] ?? join(PROJECT_ROOT, '.stator');

const require = createRequire(import.meta.url);

/** The workerd binary of this platform's package (the package's own start script would add a process). */
export function workerdBinary(): string {
  return join(
    dirname(require.resolve(`@cloudflare/workerd-${workerdPlatform()}/package.json`)),
    'bin',
    'workerd',
  );
}

function workerdPlatform(): string {
  const names: Record<string, string> = {
    'linux-x64': 'linux-64',
    'linux-arm64': 'linux-arm64',
    'darwin-x64': 'darwin-64',
    'darwin-arm64': 'darwin-arm64',
    'win32-x64': 'windows-64',
  };
  return names[`${process.platform}-${process.arch}`] ?? `${process.platform}-${process.arch}`;
}

/** Path of a package's command line script. */
export function packageBin(packageName: string, bin: string): string {
  return join(PROJECT_ROOT, 'node_modules', packageName, bin);
}
