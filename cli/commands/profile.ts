/**
 * `stator profile`: measures a worker over prompt lengths, contexts and requests at once, and writes what it finds for the
 * planner and the mock engine. Measures a deployment that runs, or starts one for it. Ends with what it has on Ctrl-C and when
 * its time is over; the same command goes on from there.
 */

import { type ArgsDef, defineCommand } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { askedTarget, chooseTarget, TARGET_ARGS, type Target } from '../chat/target.ts';
import { createDeployment } from '../launch/deployment.ts';
import { platformClient } from '../launch/platform-client.ts';
import { choosePort } from '../launch/ports.ts';
import { liveRecords } from '../launch/records.ts';
import { controlFetch } from '../launch/tls.ts';
import { createOutput, type Output } from '../output.ts';
import { measure, profileOf } from '../profile/measure.ts';
import { placesOf } from '../profile/places.ts';
import { chooseWorker, PlatformWorker } from '../profile/platform-worker.ts';
import { ProfileFolder } from '../profile/profile-folder.ts';
import { readSettings, settingArgs } from '../settings.ts';

const ARGS = {
  output: { type: 'string', description: 'Folder for what is measured. [profile]' },
  worker: {
    type: 'string',
    description: 'Instance id of the worker to measure, where there are several kinds.',
  },
  'input-tokens': {
    type: 'string',
    description: 'Prompt lengths, as 128,1024. [doubling, up to the context]',
  },
  'context-tokens': {
    type: 'string',
    description: 'Prompt lengths of decode steps. [four, up to the context]',
  },
  concurrency: {
    type: 'string',
    description: 'Requests at once in decode steps. [doubling, up to what fits]',
  },
  'output-tokens': { type: 'string', description: 'Tokens of each answer that is timed. [64]' },
  repeats: { type: 'string', description: 'Prompts of each length. [5]' },
  'gpus-per-worker': { type: 'string', description: 'GPUs of the worker: throughput is told per GPU. [1]' },
  'limit-secs': { type: 'string', description: 'Ends after so long with what there is. [900]' },
  fresh: {
    type: 'boolean',
    description: 'Drops what an earlier run has left in the folder.',
    default: false,
  },
} as const satisfies ArgsDef;

/** Who names one of these wants a worker of its own. */
const OF_A_WORKER = [
  'engine',
  'model',
  'tokenizer',
  'context',
  'block-size',
  'gpu-layers',
  'engine-speedup',
  'mock-timing',
  'mock-decode-ms',
];

/** Exit code after Ctrl-C, as shells have it. */
const INTERRUPTED = 130;

export const profile = defineCommand({
  meta: {
    name: 'profile',
    description:
      'Measure a worker for the planner; starts one when none runs, or when --engine or --model says which.',
  },
  args: { ...settingArgs(), ...TARGET_ARGS, ...ARGS },
  async run({ args }): Promise<number> {
    const output = createOutput({ json: args['json'] === true });
    const own = ownOptions(args);
    const settings = readSettings(without(args, [...Object.keys(ARGS), 'url']));
    const interrupted = new AbortController();
    const stop = () => interrupted.abort();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop);
    const records = liveRecords();
    if (
      args['url'] !== undefined ||
      (records.length > 0 && OF_A_WORKER.every((flag) => args[flag] === undefined))
    ) {
      return run(chooseTarget(askedTarget(args, process.env), records), own, { output, interrupted });
    }
    const { host, port } = settings.settings;
    const free = await choosePort(host, port, { given: settings.given.has('port') });
    const starting = output.step('a worker to measure');
    const deployment = await createDeployment({ ...settings.settings, workers: 1, port: free });
    try {
      starting.done((await deployment.start()).join(', '));
      const { url, control } = deployment;
      return await run({ url, control, apiKey: settings.settings.apiKey }, own, { output, interrupted });
    } finally {
      await deployment.stop(5_000);
    }
  },
});

type Own = ReturnType<typeof ownOptions>;

async function run(
  target: Target,
  own: Own,
  { output, interrupted }: { output: Output; interrupted: AbortController },
): Promise<number> {
  const { url, control, apiKey } = target;
  const fetcher = controlFetch(control);
  const status = await platformClient(control.url, apiKey, fetcher).status();
  const worker = chooseWorker(status, own.worker);
  const maxKvTokens = worker.totalBlocks * worker.blockSizeTokens;
  const shape = { ...worker, maxKvTokens, maxNumSeqs: worker.maxNumSeqs || Number.POSITIVE_INFINITY };
  const places = placesOf(own, shape);
  const { engine, model } = worker;
  const { outputTokens, gpusPerWorker } = own;
  const folder = new ProfileFolder(
    own.output,
    { engine, model, maxKvTokens, outputTokens, gpusPerWorker },
    own,
  );
  const { signal } = interrupted;
  const access = { url: control.url, apiKey, fetch: fetcher, signal };
  const endMs = performance.now() + own.limitMs;
  const isOver = () => signal.aborted || performance.now() > endMs;
  const step = output.step(`${model} on ${engine}`);
  try {
    const measured = measure(await PlatformWorker.reach(access, worker), places, {
      ...own,
      known: folder.measurements,
      mustStop: isOver,
      begins: (what, { done, of }) => step.update(`${done + 1} of ${of}: ${what}`),
    });
    for await (const each of measured) {
      folder.add(each);
      output.event({ event: 'measured', ...each });
    }
  } catch (thrown) {
    // What was measured before is worth keeping.
    if (!signal.aborted) step.fail((thrown as Error).message);
    if (!signal.aborted) throw thrown;
  }
  return finish(folder, { url, places, shape, own, step, output, wasInterrupted: signal.aborted });
}

function finish(
  folder: ProfileFolder,
  {
    url,
    places,
    shape,
    own,
    step,
    output,
    wasInterrupted,
  }: {
    url: string;
    places: ReturnType<typeof placesOf>;
    shape: { engine: string; model: string; maxKvTokens: number };
    own: Own;
    step: ReturnType<Output['step']>;
    output: Output;
    wasInterrupted: boolean;
  },
): number {
  const of = places.prefill.length + places.decode.length;
  const count = folder.measurements.length;
  const complete = count >= of;
  const tables = profileOf(folder.measurements, { ...own, ...shape });
  const { engine, model } = shape;
  const about = { engine, model, url, outputTokens: own.outputTokens, at: new Date().toISOString() };
  const files = tables === null ? [] : folder.finish({ ...tables, about, complete });
  const rest = complete ? '' : '; the same command goes on';
  if (complete) step.done(`${count} places measured`);
  else step.fail(`${count} of ${of} places measured${rest}`);
  output.event({ event: 'profile', complete, measured: count, of, files });
  for (const file of files) output.line(file);
  if (wasInterrupted) return INTERRUPTED;
  return complete ? 0 : 1;
}

function ownOptions(args: Readonly<Record<string, unknown>>) {
  const text = (name: keyof typeof ARGS) => args[name] as string | undefined;
  const number = (name: keyof typeof ARGS, fallback: number, least = 1) => {
    const value = text(name) === undefined ? fallback : Number(text(name) || Number.NaN);
    if (!(value >= least)) throw invalid(`--${name}: ${text(name)} is not a number from ${least} on`);
    return value;
  };
  const whole = (name: keyof typeof ARGS, fallback: number, least = 1) => {
    const value = number(name, fallback, least);
    if (!Number.isInteger(value)) throw invalid(`--${name}: ${value} is not a whole number`);
    return value;
  };
  const list = (name: 'input-tokens' | 'context-tokens' | 'concurrency') => {
    const values = text(name)?.split(',').map(Number);
    if (values?.some((value) => !Number.isInteger(value) || value < 1)) {
      throw invalid(`--${name}: ${text(name)} wants whole numbers with commas between them`);
    }
    return values;
  };
  const given = {
    inputTokens: list('input-tokens'),
    contextTokens: list('context-tokens'),
    concurrency: list('concurrency'),
  };
  const lists: { inputTokens?: number[]; contextTokens?: number[]; concurrency?: number[] } = {};
  for (const name of ['inputTokens', 'contextTokens', 'concurrency'] as const) {
    const values = given[name];
    if (values !== undefined) lists[name] = values;
  }
  return {
    ...lists,
    output: text('output') || 'profile',
    worker: text('worker'),
    outputTokens: whole('output-tokens', 64, 8),
    repeats: whole('repeats', 5),
    gpusPerWorker: whole('gpus-per-worker', 1),
    limitMs: 1000 * number('limit-secs', 900),
    isFresh: args['fresh'] === true,
  };
}

/** citty keeps each option by the name it has and in camelCase. */
function without(args: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, unknown> {
  const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  const left = { ...args };
  for (const name of names) {
    delete left[name];
    delete left[camel(name)];
  }
  return left;
}

const invalid = (what: string) => new StatorError('invalid_request', what);
