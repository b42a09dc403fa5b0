/**
 * `stator run-component FILE`: runs a user's own worker (gpu-sidecar/component/define-component.ts) until Ctrl-C. It finds the
 * deployment that runs on this machine, or the one that `--platform` or `--discovery` names.
 */

import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { defineCommand } from 'citty';
import { wallClock } from '../../durable/runtime/clock.ts';
import { settingsFromEnv } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { endpointAddress } from '../../durable/runtime/instance.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { Logger } from '../../durable/runtime/log.ts';
import { ComponentWorker } from '../../gpu-sidecar/component/component-worker.ts';
import { type Component, isComponent } from '../../gpu-sidecar/component/define-component.ts';
import { openDiscovery } from '../../gpu-sidecar/discovery/registry.ts';
import { systemTimers } from '../../gpu-sidecar/timers.ts';
import { fleetTls } from '../../gpu-sidecar/tls/fleet-tls.ts';
import { liveRecords } from '../launch/records.ts';
import { createOutput, type Output } from '../output.ts';
import { PROJECT_ROOT } from '../paths.ts';
import { refuseUnknown } from '../settings.ts';

const ARGS = {
  platform: { type: 'string', description: 'Address of the platform; default: the one that runs here.' },
  discovery: { type: 'string', description: 'Instead of it: etcd:http://HOST:2379, file:DIRECTORY, …' },
  'fleet-token': { type: 'string', description: 'Shared with the platform (or STATOR_FLEET_TOKEN).' },
  host: { type: 'string', description: 'Address to listen on, which others are told.', default: '127.0.0.1' },
  port: { type: 'string', description: 'HTTP port; 0: a free one.', default: '0' },
  'grpc-port': { type: 'string', description: 'gRPC port; 0: a free one.', default: '0' },
  json: { type: 'boolean', description: 'One JSON object per line instead of text.', default: false },
} as const;

export const runComponent = defineCommand({
  meta: {
    name: 'run-component',
    description: 'Run your own worker: a module that exports defineComponent(…).',
  },
  args: { file: { type: 'positional', description: 'The module, TypeScript or JavaScript.' }, ...ARGS },
  async run({ args }): Promise<number> {
    const { _: words, file, ...options } = args;
    if (file === undefined)
      throw new StatorError('invalid_request', 'run-component wants a file; see --help');
    refuseUnknown({ ...options, _: words.slice(1) }, new Set(Object.keys(ARGS)));
    const output = createOutput({ json: args.json });
    const component = await load(file);
    const { discovery, fleetToken } = target(args);
    const settings = settingsFromEnv(process.env);
    const { host } = args;
    const tls = fleetTls(settings, { hosts: [host], label: (name) => name, nowMs: Date.now() });
    const write = (line: string) => void process.stderr.write(`${line}\n`);
    const log = new Logger({ component: component.component, level: settings.logLevel, write });
    keepAlive(log);
    const common = { fleetToken, tls, clock: wallClock, timers: systemTimers, log };
    const worker = new ComponentWorker({
      ...common,
      component,
      host,
      httpPort: portOf('port', args.port),
      grpcPort: portOf('grpc-port', args['grpc-port']),
      metricsPrefix: settings.metricsPrefix,
      discovery: openDiscovery(discovery, {
        ...common,
        leaseMs: settings.leaseMs,
        random: Math.random,
      }),
    });
    const addresses = await worker.start();
    const endpoints = [...component.endpoints.keys()].map((endpoint) =>
      endpointAddress({ ...component, endpoint }),
    );
    output.event({ event: 'serving', ...addresses, discovery, endpoints });
    output.line(
      `${endpoints.join(', ')}\nserved at ${addresses.http} as instance ${addresses.instance}; Ctrl-C ends`,
    );
    await untilSignal(worker, output);
    return 0;
  },
});

/** `import … from 'stator/component'` works wherever the file lies. */
async function load(file: string): Promise<Component> {
  const path = resolve(file);
  if (!existsSync(path)) throw new StatorError('invalid_request', `there is no file ${path}`);
  const own = pathToFileURL(join(PROJECT_ROOT, 'gpu-sidecar', 'component', 'index.ts')).href;
  registerHooks({
    resolve: (specifier, context, next) =>
      specifier === 'stator/component' ? { url: own, shortCircuit: true } : next(specifier, context),
  });
  let module: { default?: unknown };
  try {
    module = (await import(pathToFileURL(path).href)) as { default?: unknown };
  } catch (cause) {
    if (cause instanceof StatorError) throw cause;
    throw new StatorError('invalid_request', `${file} cannot be loaded: ${(cause as Error).message}`, {
      cause,
    });
  }
  if (isComponent(module.default)) return module.default;
  throw new StatorError('invalid_request', `${file} must export default what defineComponent returns`);
}

/** Where it registers, and the token for it. */
function target(args: {
  platform?: string | undefined;
  discovery?: string | undefined;
  'fleet-token'?: string | undefined;
}): {
  discovery: string;
  fleetToken: string;
} {
  if (args.platform !== undefined && args.discovery !== undefined) {
    throw new StatorError('invalid_request', '--platform and --discovery say two things: give one');
  }
  const records = liveRecords();
  const said = args['fleet-token'] ?? process.env['STATOR_FLEET_TOKEN'] ?? '';
  const platform = args.platform?.replace(/\/+$/, '');
  const here = records.filter(
    ({ url, control }) => platform === undefined || [url, control.url].includes(platform),
  );
  const fleetToken = said || (args.discovery === undefined ? here[0]?.fleetToken : '') || '';
  if (args.discovery === undefined && platform === undefined) {
    if (here.length !== 1) {
      const found = here.length === 0 ? 'no deployment runs here' : 'several deployments run here';
      throw new StatorError('invalid_request', `${found}: say --platform URL or --discovery`);
    }
  }
  if (fleetToken === '') {
    throw new StatorError(
      'invalid_request',
      'a worker needs the fleet token: --fleet-token or STATOR_FLEET_TOKEN',
    );
  }
  return { discovery: args.discovery ?? `object:${here[0]?.control.url ?? platform}`, fleetToken };
}

function portOf(name: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) < 65_536) return Number(text);
  throw new StatorError('invalid_request', `--${name}: ${text} is not a port`);
}

/** What the user's code does behind our back is said, and no reason to end. */
function keepAlive(log: Logger): void {
  process.on('unhandledRejection', (error) =>
    log.error('a promise of the component was rejected', { error }),
  );
  process.on('uncaughtException', (error) => log.error('the component threw', { error }));
}

/** Resolves when a signal has ended everything; a second one does not wait for the calls that run. */
function untilSignal(worker: ComponentWorker, output: Output): Promise<void> {
  return new Promise((done) => {
    let asked = 0;
    const onSignal = () => {
      asked += 1;
      if (asked > 1) process.exit(130);
      output.line('\ndraining …');
      output.event({ event: 'draining' });
      void worker.drain(LIMITS.drainMs).then(done);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  });
}
