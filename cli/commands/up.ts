/**
 * `stator up`: bundles, starts workerd and the workers, waits until a model is ready, says how to call it, and stays
 * until Ctrl-C, restarting what dies.
 */

import { defineCommand } from 'citty';
import type { Settings } from '../../durable/runtime/config.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { buildBundle } from '../launch/bundle.ts';
import {
  Deployment,
  type PlatformLauncher,
  type SidecarLine,
  workerdLauncher,
} from '../launch/deployment.ts';
import { choosePort } from '../launch/ports.ts';
import { liveRecords, removeRecord, writeRecord } from '../launch/records.ts';
import { withFleetListen } from '../launch/tls.ts';
import { createOutput, type Output } from '../output.ts';
import { readSettings, settingArgs } from '../settings.ts';

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost']);

export const up = defineCommand({
  meta: { name: 'up', description: 'Start the platform and its workers on this machine.' },
  args: settingArgs(),
  async run({ args }): Promise<number> {
    const output = createOutput({ json: args['json'] === true });
    const { settings, given } = readSettings(args);
    requireKeyBeyondLoopback(settings);
    requireDecodeWorkers(settings);
    liveRecords();
    const port = await choosePort(settings.host, settings.port, { given: given.has('port') });
    const complete = await withFleetListen({ ...settings, port });
    return serve(complete, await bundleLauncher(output), output);
  },
});

/** Nobody would answer, and the start would wait for a model in vain. */
function requireDecodeWorkers({ prefillWorkers, decodeWorkers }: Settings): void {
  if (prefillWorkers === 0 || decodeWorkers > 0) return;
  const message = '--prefill-workers compute prompts for decode workers, so they want --decode-workers';
  throw new StatorError('invalid_request', message, { param: 'prefillWorkers' });
}

/** Anybody on the network could use the GPUs otherwise. */
export function requireKeyBeyondLoopback(settings: Settings): void {
  const { alsoListen, apiKey, fleetListen, fleetTlsCert, tlsClientCa } = settings;
  if (apiKey !== '') return;
  // Where certificates are asked for, nobody gets in without one.
  const addresses = [
    ...(tlsClientCa === '' ? alsoListen.split(',') : []),
    fleetTlsCert === '' ? fleetListen : '',
  ];
  const further = addresses.map((address) => address.slice(0, address.lastIndexOf(':')));
  const hosts = [
    tlsClientCa === '' ? settings.host : '',
    ...further.map((host) => host.replace(/^\[(.*)\]$/, '$1')),
  ];
  const open = hosts.find((host) => host !== '' && !LOOPBACK.has(host));
  if (open === undefined) return;
  throw new StatorError(
    'invalid_request',
    `--host ${open} can be reached from other machines, so it wants --api-key (or STATOR_API_KEY) or --tls-client-ca`,
    { param: 'apiKey' },
  );
}

async function bundleLauncher(output: Output): Promise<PlatformLauncher> {
  const building = output.step('platform bundle');
  const bundle = await buildBundle();
  const size = `${Math.round(bundle.scriptBytes / 1024)} KiB + ${Math.round(bundle.wasmBytes / 1024)} KiB wasm`;
  building.done(bundle.cached ? `${size}, unchanged` : size);
  return workerdLauncher(bundle);
}

/** Starts everything, says how to call it and stays until a signal; shared with `stator dev`. */
export async function serve(settings: Settings, launch: PlatformLauncher, output: Output): Promise<number> {
  let ready = false;
  const startedMs = Date.now();
  const deployment = new Deployment(settings, launch, {
    onPlatform: (platformPid) => {
      const { port, apiKey } = settings;
      const { control, settings: complete, url } = deployment;
      const { fleetToken } = complete;
      writeRecord({
        launcherPid: process.pid,
        platformPid,
        url,
        control,
        port,
        startedMs,
        apiKey,
        fleetToken,
      });
    },
    onSidecarLine: (index, line) => report(output, index, line),
    onOrder: (event) => {
      output.event({ ...event, event: `planner_${event.event}` });
      if (event.event !== 'order_ended' || event.failed === null) return;
      output.line(`order ${event.id} of the planner failed: ${event.failed}`);
    },
    onExit: (name, { code, restartInMs }) => {
      output.event({ event: 'exit', name, code, restartInMs });
      // Whoever gives up before anything is ready ends the start, and that error says why.
      if (restartInMs === null && !ready) return;
      const next = restartInMs === null ? 'not restarted' : `restart in ${restartInMs} ms`;
      output.line(`${name} ended (${code ?? 'killed'}); ${next}`);
    },
  });
  // Whoever read our output may be gone (`npm start | head`): that is no reason to drop everything.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
  const stopped = stopOnSignal(deployment, output);
  try {
    await startAll(deployment, output);
    ready = true;
  } catch (error) {
    // A signal during the start: its stop is under way.
    if (!(error instanceof StatorError && error.code === 'cancelled')) {
      await deployment.stop(1_000);
      removeRecord(settings.port);
      throw error;
    }
  }
  const code = await stopped;
  removeRecord(settings.port);
  return code;
}

async function startAll(deployment: Deployment, output: Output): Promise<void> {
  const { settings, url } = deployment;
  const starting = output.step('platform');
  await deployment.startPlatform();
  starting.done(url);
  if (settings.workers + settings.prefillWorkers + settings.decodeWorkers === 0) {
    output.event({ event: 'platform_ready', url });
    return output.line(`Workers find the platform at ${deployment.control.url}. Ctrl-C stops it.`);
  }
  const loading = output.step('workers');
  const roles = (await deployment.addSidecars()).map(({ workerType, count }) => {
    const role = workerType === 'aggregated' ? '' : ` (${workerType})`;
    return `${count} × ${settings.engine}${role}`;
  });
  if (roles.length > 0) loading.update(`${roles.join(', ')} loading`);
  const models = await deployment.ready();
  const ready = roles.length === 0 ? 'asleep until a request comes' : roles.join(', ');
  loading.done(`${ready}, model ${models.join(', ')}`);
  deployment.followPlanner();
  sayHowToCall(output, deployment, models[0] as string);
}

function report(output: Output, index: number, line: SidecarLine): void {
  output.event({ ...line, event: `sidecar_${line.event}`, index });
}

function sayHowToCall(output: Output, deployment: Deployment, model: string): void {
  const { url, settings } = deployment;
  const key = settings.apiKey ? ` -H 'authorization: Bearer $STATOR_API_KEY'` : '';
  const body = JSON.stringify({
    model,
    stream: true,
    temperature: 0,
    messages: [{ role: 'user', content: 'What is Stator?' }],
  });
  const curl = `curl -N ${url}/v1/chat/completions${key} -H 'content-type: application/json' -d '${body}'`;
  const grpc = deployment.sidecarLines.flatMap((line) => line?.grpc || []);
  output.event({
    event: 'ready',
    url,
    model,
    openai_base_url: `${url}/v1`,
    anthropic_base_url: url,
    grpc,
    curl,
  });
  output.line('');
  output.line(`Ready: ${url}    OPENAI_BASE_URL=${url}/v1    ANTHROPIC_BASE_URL=${url}`);
  if (grpc.length > 0) output.line(`gRPC (KServe v2): ${grpc.join(', ')}`);
  if (model === 'stator-tiny') {
    output.line(
      'stator-tiny is a demonstration of 2.6 million parameters, not an assistant; --model serves yours.',
    );
  }
  output.line(`\n${curl}\n`);
  output.line('Ctrl-C drains and stops.');
}

/** Resolves with the exit code once a signal has ended everything; a second Ctrl-C does not wait for the drain. */
function stopOnSignal(deployment: Deployment, output: Output): Promise<number> {
  return new Promise((resolve) => {
    let asked = 0;
    const onSignal = async () => {
      asked += 1;
      if (asked === 2) return void deployment.stop(0);
      if (asked > 2) return;
      output.line('\ndraining …');
      output.event({ event: 'draining' });
      await deployment.stop();
      output.event({ event: 'stopped' });
      resolve(0);
    };
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => void onSignal());
  });
}
