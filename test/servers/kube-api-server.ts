/**
 * A real Kubernetes API server on a free port of loopback, with an etcd of its own and the controllers that matter here
 * (`kube/*.go`), built from Go modules once for each content of those files. Nothing is left behind but the binary.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { STATE_DIR } from '../../cli/paths.ts';
import { goToolchain } from './go.ts';

const SOURCES = join(import.meta.dirname, 'kube');
const VERSION = /k8s\.io\/kubernetes v(1\.\d+)(\.\d+)/;
/** Three to four minutes on two cores, if nobody else wants them. */
const BUILD_TIMEOUT_MS = 840_000;

/** Path of the server's binary. Throws saying what could not be installed or built. */
async function binary(): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(SOURCES).sort()) hash.update(name).update(readFileSync(join(SOURCES, name)));
  const folder = join(STATE_DIR, 'servers');
  const path = join(folder, `kube-${hash.digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return path;
  mkdirSync(folder, { recursive: true });
  const unfinished = `${path}.${process.pid}`;
  const [, minor, patch] = VERSION.exec(readFileSync(join(SOURCES, 'go.mod'), 'utf8'))!;
  // Without them the server takes itself for a version that has none of its features.
  const set = (name: string, text: string) => `-X k8s.io/component-base/version.${name}=${text}`;
  const [major, number] = minor!.split('.');
  const flags = `-s -w ${set('gitVersion', `v${minor}${patch}`)} ${set('gitMajor', major!)} ${set('gitMinor', number!)}`;
  const args = ['build', '-trimpath', '-buildvcs=false', `-ldflags=${flags}`, '-o', unfinished, '.'];
  const env = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly', GOWORK: 'off' };
  try {
    await promisify(execFile)(await goToolchain(), args, { cwd: SOURCES, env, timeout: BUILD_TIMEOUT_MS });
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    throw new Error(`the Kubernetes API server for tests cannot be built: ${stderr || message}`);
  }
  renameSync(unfinished, path);
  return path;
}

export class KubeApiServer {
  url = '';
  caFile = '';
  adminToken = '';
  readonly #binary: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'stator-kube-'));
  #process: ChildProcess | null = null;

  private constructor(path: string) {
    this.#binary = path;
  }

  static async start(): Promise<KubeApiServer> {
    const server = new KubeApiServer(await binary());
    await server.start();
    return server;
  }

  /** Where it was before, if it was anywhere. */
  async start(): Promise<void> {
    const args = ['-dir', this.#folder];
    if (this.url !== '') args.push('-port', new URL(this.url).port);
    const child = spawn(this.#binary, args, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#process = child;
    let log = '';
    child.stderr.on('data', (piece) => {
      log = `${log}${piece}`.slice(-4_000);
    });
    const ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the Kubernetes API server ended (${code}): ${log}`);
    });
    ended.catch(() => {});
    const [line] = await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended]);
    Object.assign(this, JSON.parse(line) as object);
  }

  /** Ends without notice; the state stays, and `start` goes on with it. */
  async halt(): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }

  async stop(): Promise<void> {
    await this.halt();
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 });
  }
}
