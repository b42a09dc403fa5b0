/**
 * Bundles the platform with wrangler (`deploy --dry-run`), once per content of its sources.
 *
 * The result lies in `<state>/build/<hash>/`: index.js and the wasm modules, minified. A warm start finds it by the
 * hash of everything that goes in (a few milliseconds) and never starts wrangler.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { StatorError } from '../../durable/runtime/errors.ts';
import { PROJECT_ROOT, packageBin, STATE_DIR } from '../paths.ts';

/** Everything that can change the bundle. */
const SOURCES = [
  'functions',
  'durable',
  'wasm',
  'gpu-sidecar/proto/gen',
  'wrangler.toml',
  'package-lock.json',
];
const KEPT_BUILDS = 3;

export interface Bundle {
  directory: string;
  /** True when it was there already. */
  cached: boolean;
  scriptBytes: number;
  wasmBytes: number;
}

interface BundleOptions {
  /** False keeps function names, for profiles. */
  minify: boolean;
  /** Another Worker than the platform's, for benchmarks: its file, in a folder that has all else that it imports. */
  entry?: string;
}

export async function buildBundle(options: BundleOptions = { minify: true }): Promise<Bundle> {
  const builds = join(STATE_DIR, 'build');
  const { entry, minify } = options;
  const sources = entry === undefined ? SOURCES : [...SOURCES, dirname(entry)];
  const name = entry === undefined ? '' : `-${basename(entry, '.ts')}`;
  const directory = join(builds, hashSources(sources) + name + (minify ? '' : '-readable'));
  const cached = existsSync(join(directory, 'index.js'));
  if (!cached) {
    mkdirSync(builds, { recursive: true });
    const unfinished = `${directory}.${process.pid}`;
    await runWrangler(unfinished, options);
    if (entry !== undefined)
      renameSync(join(unfinished, `${basename(entry, '.ts')}.js`), join(unfinished, 'index.js'));
    // Another process may have finished the same build meanwhile, and run on it.
    if (existsSync(join(directory, 'index.js'))) rmSync(unfinished, { recursive: true, force: true });
    else renameSync(unfinished, directory);
    forgetOldBuilds(builds);
  }
  return { directory, cached, ...bundleSizes(directory) };
}

function hashSources(sources: readonly string[]): string {
  const hash = createHash('sha256');
  const visit = (path: string) => {
    const full = join(PROJECT_ROOT, path);
    if (statSync(full).isDirectory()) {
      for (const name of readdirSync(full).sort()) {
        if (name !== 'target' && !name.startsWith('.')) visit(join(path, name));
      }
    } else {
      hash.update(path).update('\0').update(readFileSync(full)).update('\0');
    }
  };
  for (const source of sources) visit(source);
  return hash.digest('hex').slice(0, 16);
}

async function runWrangler(outdir: string, options: BundleOptions): Promise<void> {
  const wrangler = packageBin('wrangler', 'bin/wrangler.js');
  const args = [wrangler, 'deploy', '--dry-run', '--outdir', outdir];
  if (options.minify) args.push('--minify');
  if (options.entry !== undefined) args.splice(2, 0, options.entry);
  try {
    await promisify(execFile)(process.execPath, args, {
      cwd: PROJECT_ROOT,
      env: {
        ...process.env,
        CI: '1',
        WRANGLER_SEND_METRICS: 'false',
        WRANGLER_LOG_PATH: join(STATE_DIR, 'logs'),
      },
      maxBuffer: 16 * 1024 * 1024,
    });
  } catch (error) {
    const { stderr = '', stdout = '' } = error as { stderr?: string; stdout?: string };
    throw new StatorError('internal', `the bundle could not be built:\n${stderr || stdout}`, {
      cause: error,
    });
  }
}

function bundleSizes(directory: string): { scriptBytes: number; wasmBytes: number } {
  let scriptBytes = 0;
  let wasmBytes = 0;
  for (const name of readdirSync(directory)) {
    const { size } = statSync(join(directory, name));
    if (name.endsWith('.wasm')) wasmBytes += size;
    if (name.endsWith('.js')) scriptBytes += size;
  }
  return { scriptBytes, wasmBytes };
}

function forgetOldBuilds(builds: string): void {
  const byAge = readdirSync(builds)
    .map((name) => ({ name, changedMs: statSync(join(builds, name)).mtimeMs }))
    .sort((a, b) => b.changedMs - a.changedMs);
  for (const { name } of byAge.slice(KEPT_BUILDS))
    rmSync(join(builds, name), { recursive: true, force: true });
}
