/**
 * The sidecar's process: `node gpu-sidecar/main.ts`, configured by STATOR_* variables (`settings.ts`).
 *
 * Standard output has one JSON line per event for the launcher: `{"event":"phase","phase":"serving","http":…,
 * "grpc":…,"instance":…}` and, when it cannot run, one `{"event":"error","code":…,"message":…}` with exit status 1.
 * The log goes to standard error. SIGTERM, SIGINT and the end of the parent (STATOR_PARENT_STDIN=1) drain; a second
 * signal does not wait.
 */

import { setFlagsFromString } from 'node:v8';
import type { Settings } from '../durable/runtime/config.ts';
import { type StatorError, toStatorError } from '../durable/runtime/errors.ts';
import { LIMITS } from '../durable/runtime/limits.ts';
import { Logger } from '../durable/runtime/log.ts';
import { Metrics } from '../durable/runtime/metrics.ts';
import { engineKind } from './engines/registry.ts';
import { kvMemoryOpener } from './kvbm/settings.ts';
import { sidecarSettings } from './settings.ts';
import { Sidecar } from './sidecar.ts';

/**
 * V8 moves arrays that are made anew each turn (lists of what is due, of what runs) into old space once it has seen them
 * survive. There a forgotten one keeps the requests it lists alive through every young collection: 25 ms instead of 2
 * under load, and a quarter of the CPU time.
 */
setFlagsFromString('--no-allocation-site-pretenuring');

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

function fail(error: StatorError): never {
  say({ event: 'error', code: error.code, message: error.message });
  process.exit(1);
}

async function main(): Promise<void> {
  const settings = sidecarSettings(process.env);
  // A dead parent reads no more: that is no reason to die in the middle of an answer.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  say({ event: 'phase', phase: 'starting' });
  const log = new Logger({
    component: 'sidecar',
    level: settings.settings.logLevel,
    write: (line) => void process.stderr.write(`${line}\n`),
  });
  let ended = false;
  let sidecar: Sidecar | null = null;
  const end = (): void => {
    if (ended) process.exit(130);
    ended = true;
    const drained = sidecar === null ? Promise.resolve() : sidecar.drain(LIMITS.drainMs);
    drained.then(
      () => process.exit(0),
      (error) => fail(toStatorError(error)),
    );
  };
  process.on('SIGTERM', end);
  process.on('SIGINT', end);
  if (settings.parentStdin) endWithParent(() => ended || end());
  const metrics = new Metrics({ prefix: settings.settings.metricsPrefix });
  const kvMemory = kvMemoryOpener(settings.settings, { metrics, always: handsBlocksOver(settings.settings) });
  const options = kvMemory === null ? settings.engine : { ...settings.engine, kvMemory };
  const engine = await engineKind(settings.settings.engine).start(options);
  sidecar = new Sidecar(
    settings,
    engine,
    {
      phase(phase, addresses) {
        say({ event: 'phase', phase, ...addresses });
        if (phase === 'gone') process.exit(0);
      },
      refused: ({ error }) => fail(error),
    },
    { log, metrics },
  );
  await sidecar.start();
}

/** Engines without KV memory have roles, too: then every worker computes the prompts that it answers. */
const handsBlocksOver = ({ engine, workerType }: Settings): boolean =>
  workerType !== 'aggregated' && engine === 'llama';

/** The parent holds the other end of our standard input; when it dies, the pipe ends. */
function endWithParent(gone: () => void): void {
  process.stdin.on('end', gone);
  process.stdin.on('close', gone);
  process.stdin.on('error', gone);
  process.stdin.resume();
}

main().catch((error) => fail(toStatorError(error)));
