/**
 * A Python environment of our own for clients written in Python: made once under the state folder, used again while
 * requirements.txt stays the same. What is missing on the machine is an error that names it; nothing is skipped.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT_ROOT, STATE_DIR } from '../../cli/paths.ts';

const run = promisify(execFile);
const REQUIREMENTS = join(PROJECT_ROOT, 'test', 'servers', 'requirements.txt');
const INSTALL_TIMEOUT_MS = 500_000;
const SCRIPT_TIMEOUT_MS = 120_000;

/** Path of a python that has the packages of requirements.txt. Throws saying what the machine lacks. */
export async function pythonWithPackages(): Promise<string> {
  const wanted = readFileSync(REQUIREMENTS);
  const name = createHash('sha256').update(wanted).digest('hex').slice(0, 12);
  const folder = join(STATE_DIR, 'servers', `python-${name}`);
  const python = join(folder, 'bin', 'python');
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return python;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  await step('python3 with its venv module is missing (Debian: apt-get install python3-venv)', 'python3', [
    '-m',
    'venv',
    folder,
  ]);
  // The file has all that is needed: what a package names besides (torch for NIXL's Python half) is not.
  const pip = [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--disable-pip-version-check',
    '-r',
    REQUIREMENTS,
  ];
  await step(`the packages of ${REQUIREMENTS} cannot be installed`, python, pip);
  writeFileSync(complete, '');
  return python;
}

/** The JSON that a script of this folder prints. */
export async function seenByPython<T>(python: string, script: string, args: readonly string[]): Promise<T> {
  const path = join(PROJECT_ROOT, 'test', 'servers', script);
  const { stdout } = await run(python, [path, ...args], { timeout: SCRIPT_TIMEOUT_MS });
  return JSON.parse(stdout) as T;
}

async function step(problem: string, command: string, args: readonly string[]): Promise<void> {
  try {
    await run(command, [...args], { timeout: INSTALL_TIMEOUT_MS });
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${problem}: ${stderr || stdout || message}`);
  }
}
