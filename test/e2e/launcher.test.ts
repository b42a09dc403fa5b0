/**
 * The launcher as people run it, a process of its own: bad input ends in seconds with one line that names the flag or the
 * file, a good start says in order what it does and keeps its processes alive, and afterwards nothing is left behind.
 */

import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { buildBundle } from '../../cli/launch/bundle.ts';
import { freePort } from '../../cli/launch/ports.ts';
import { PROJECT_ROOT, STATE_DIR } from '../../cli/paths.ts';
import { tlsFetch } from '../../gpu-sidecar/tls/tls-fetch.ts';
import { eventually } from '../harness/deployment.ts';
import { Launcher } from '../harness/launcher.ts';
import { processesWith } from '../harness/processes.ts';

const TINY = join(PROJECT_ROOT, 'gpu-sidecar', 'models', 'tiny', 'stator-tiny.gguf');
/** A few seconds for people; a busy test machine takes more. */
const REFUSED_WITHIN_MS = 30_000;

const folder = mkdtempSync(join(tmpdir(), 'stator-launcher-'));
/** A state folder of its own, so that `status` and `down` see these deployments only. Builds are shared. */
const home = join(folder, 'home');
const textFile = join(folder, 'text.gguf');
const cutFile = join(folder, 'cut.gguf');
const missingFile = join(folder, 'missing.gguf');
const settingsFile = join(folder, 'stator.toml');
let takenPort: number;
const taken = createServer();
const started: Launcher[] = [];

const stator = (...args: string[]): Launcher => {
  const launcher = new Launcher(args, { STATOR_HOME: home });
  started.push(launcher);
  return launcher;
};
const nothingLeft = () =>
  eventually('the end of every process', async () => (processesWith(home).length === 0 ? true : null));

beforeAll(async () => {
  await buildBundle();
  mkdirSync(home);
  symlinkSync(join(STATE_DIR, 'build'), join(home, 'build'));
  writeFileSync(textFile, 'once upon a time');
  writeFileSync(cutFile, readFileSync(TINY).subarray(0, 100_000));
  writeFileSync(settingsFile, 'workers = 1\nrouter_mood = "kv"\n');
  taken.listen(0, '127.0.0.1');
  await once(taken, 'listening');
  takenPort = (taken.address() as { port: number }).port;
}, 120_000);
afterEach(async () => {
  await Promise.all(started.splice(0).map((launcher) => launcher.end()));
});
afterAll(() => {
  taken.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('bad input', () => {
  const cases: [string, () => string[], () => string][] = [
    ['a model that is a text', () => ['--port', '0', '--model', textFile], () => textFile],
    ['a model that is cut off', () => ['--port', '0', '--model', cutFile], () => `${cutFile} is cut off`],
    ['a model that is not there', () => ['--port', '0', '--model', missingFile], () => missingFile],
    [
      'three workers of a broken model',
      () => ['--port', '0', '--workers', '3', '--model', cutFile],
      () => cutFile,
    ],
    ['a port in use', () => ['--port', String(takenPort)], () => `port ${takenPort} on 127.0.0.1 is in use`],
    ['another address without a key', () => ['--host', '0.0.0.0'], () => '--host 0.0.0.0'],
    [
      'a certificate that is not there',
      () => ['--tls-cert', missingFile, '--tls-key', missingFile],
      () => `--tls-cert: ${missingFile} is not there`,
    ],
    [
      'a certificate without its key',
      () => ['--tls-cert', textFile],
      () => '--tls-cert is given, which wants',
    ],
    ['an unknown option', () => ['--router-mood', 'kv'], () => '--router-mood'],
    ['a wrong router mode', () => ['--router-mode', 'best'], () => '--router-mode'],
    [
      'an unknown key in the file',
      () => ['--config', settingsFile],
      () => `${settingsFile}: unknown setting`,
    ],
    ['a stray word', () => ['now'], () => '"now"'],
  ];

  it.each(cases)('%s: one line, and no process left', async (_name, args, says) => {
    const launcher = stator('up', ...args());
    const { code, stdout, stderr, ms } = await launcher.ended();
    expect(code).toBe(1);
    expect(ms).toBeLessThan(REFUSED_WITHIN_MS);
    expect(stdout).toBe('');
    const problems = stderr.split('\n').filter((line) => line !== '' && !line.startsWith('✓'));
    expect(problems).toEqual([expect.stringMatching(/^stator: /)]);
    expect(problems[0]).toContain(says());
    expect(problems[0]).not.toMatch(/\bat .*:\d+:\d+/);
    await nothingLeft();
  });

  it.each(cases)('%s: one JSON object with --json', async (_name, args, says) => {
    const { code, stderr, events } = await stator('up', '--json', ...args()).ended();
    expect(code).toBe(1);
    expect(stderr).toBe('');
    expect(events.filter(({ event }) => event === 'error')).toEqual([
      { event: 'error', code: 'invalid_request', message: expect.stringContaining(says()) },
    ]);
    expect(events.at(-1)?.['event']).toBe('error');
  });

  it('an unknown command names the ones there are', async () => {
    const { code, stderr } = await stator('upp').ended();
    expect(code).toBe(2);
    expect(stderr).toMatch(/^stator: unknown command "upp"; there are up, down, status.*\n$/);
  });
});

describe('a command that wants a running deployment', () => {
  it.each([['run', 'hi'], ['chat']])('%s says how to start one', async (...args) => {
    const { code, stdout, stderr } = await stator(...args).ended();
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^stator: nothing is running here: `npm start`.*\n$/);
  });
});

describe('a good start', () => {
  const up = () => stator('up', '--port', '0', '--engine', 'mock', '--json');
  const status = async () =>
    JSON.parse((await stator('status', '--json').ended()).stdout) as {
      url: string;
      status: { workers: { instanceId: string; phase: string }[] };
    }[];

  it('says in order what it does, restarts what is killed, and goes with `down`', async () => {
    const launcher = up();
    const ready = await launcher.event(({ event }) => event === 'ready');
    const happened = launcher.events.map(({ event, name, phase }) => name ?? phase ?? event);
    const order = ['platform bundle', 'platform', 'starting', 'serving', 'workers', 'ready'];
    expect(happened.filter((what) => order.includes(what as string))).toEqual(order);
    expect(ready['curl']).toContain(`${ready['url']}/v1/chat/completions`);

    const [deployment] = await status();
    expect(deployment?.url).toBe(ready['url']);
    const asked = JSON.parse((await stator('run', 'hello', '--max-tokens', '4', '--json').ended()).stdout);
    expect(asked).toMatchObject({ finish_reason: 'length', usage: { completion_tokens: 4 } });
    expect(deployment?.status.workers.map(({ phase }) => phase)).toEqual(['serving']);
    const instance = deployment?.status.workers[0]?.instanceId;

    const [worker] = processesWith(home).filter(({ command }) => command.includes('gpu-sidecar/main.ts'));
    process.kill(worker?.pid as number, 'SIGKILL');
    const exit = await launcher.event(({ event }) => event === 'exit');
    expect(exit).toMatchObject({ name: 'sidecar-0', code: null, restartInMs: 100 });
    const again = await launcher.event(({ phase, instance: id }) => phase === 'serving' && id !== instance);
    await eventually('the new worker to serve', async () => {
      const workers = (await status())[0]?.status.workers.filter(({ phase }) => phase === 'serving');
      return workers?.some(({ instanceId }) => instanceId === again['instance']) ? true : null;
    });

    const down = await stator('down', '--json').ended();
    expect(down.code).toBe(0);
    expect(down.events.at(-1)).toEqual({ event: 'down', stopped: [ready['url']] });
    expect((await launcher.ended()).code).toBe(0);
    expect(launcher.events.at(-1)).toEqual({ event: 'stopped' });
    expect(await status()).toEqual([]);
    await nothingLeft();
  });

  it('interrupted before it is ready ends at once', async () => {
    const launcher = stator('up', '--port', '0', '--json');
    await launcher.event(({ name }) => name === 'platform');
    launcher.child.kill('SIGTERM');
    const { code, events } = await launcher.ended();
    expect(code).toBe(0);
    expect(events.map(({ event }) => event)).not.toContain('error');
    await nothingLeft();
    expect(await status()).toEqual([]);
  });

  it('of a launcher that is killed is cleaned up by the next command, restarted platform included', async () => {
    const launcher = up();
    const { url } = await launcher.event(({ event }) => event === 'ready');
    const platform = () => processesWith(home).find(({ command }) => command.includes('workerd.capnp'));
    const first = platform();
    process.kill(first?.pid as number, 'SIGKILL');
    await launcher.event(({ event, name }) => event === 'exit' && name === 'platform');
    await eventually('the platform to be back', async () =>
      (await fetch(`${url}/live`).catch(() => null))?.ok ? true : null,
    );
    const main = processesWith(home).find(({ command }) => command.includes('cli/main.ts'));
    process.kill(main?.pid as number, 'SIGKILL');
    await launcher.ended();
    expect(platform()?.pid).not.toBe(first?.pid);
    expect(await status()).toEqual([]);
    await nothingLeft();
  });

  it('ends in order although nobody reads its output any more', async () => {
    const launcher = up();
    await launcher.event(({ event }) => event === 'ready');
    launcher.child.stdout?.destroy();
    launcher.child.stderr?.destroy();
    launcher.child.kill('SIGTERM');
    expect((await launcher.ended()).code).toBe(0);
    await nothingLeft();
  });

  it('with a certificate that `stator tls` made is https for clients, and its commands find the way', async () => {
    const files = join(folder, 'certificates');
    expect((await stator('tls', '--out', files).ended()).stdout).toContain('for localhost, 127.0.0.1');
    const [cert, key, ca] = ['localhost.pem', 'localhost-key.pem', 'ca.pem'].map((name) => join(files, name));
    const tls = ['--tls-cert', cert as string, '--tls-key', key as string];
    const launcher = stator('up', '--port', '0', '--engine', 'mock', '--json', ...tls);
    const { url } = await launcher.event(({ event }) => event === 'ready');
    expect(url).toMatch(/^https:/);
    const pem = { cert: '', key: '', ca: readFileSync(ca as string, 'utf8') };
    expect((await tlsFetch(pem)(`${url}/live`)).status).toBe(200);
    const asked = await stator('run', 'hello', '--max-tokens', '4', '--json').ended();
    expect(JSON.parse(asked.stdout)).toMatchObject({ finish_reason: 'length' });
    expect((await status())[0]?.url).toBe(url);
    expect((await stator('down').ended()).code).toBe(0);
    expect((await launcher.ended()).code).toBe(0);
    await nothingLeft();
  });

  it('takes the port that is asked for', async () => {
    const port = await freePort();
    const launcher = stator('up', '--port', String(port), '--engine', 'mock');
    await eventually('the address', async () =>
      launcher.stdout.includes(`Ready: http://127.0.0.1:${port} `) ? true : null,
    );
    expect((await stator('down', '--port', String(port)).ended()).code).toBe(0);
    expect((await launcher.ended()).code).toBe(0);
  });
});
