/** `stator run "prompt"`: one question, its answer on standard output. What is piped in is the prompt or follows it. */

import { fstatSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { defineCommand } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { type Shown, showAnswer, tokensPerSecond } from '../chat/answer-view.ts';
import { ChatClient, type Message } from '../chat/chat-client.ts';
import { chooseModel, SAMPLING_ARGS, samplingOf } from '../chat/sampling-options.ts';
import { askedTarget, chooseTarget, TARGET_ARGS } from '../chat/target.ts';
import { liveRecords } from '../launch/records.ts';
import { refuseUnknown } from '../settings.ts';

const OPTIONS = {
  ...TARGET_ARGS,
  ...SAMPLING_ARGS,
  json: { type: 'boolean', description: 'One JSON document instead of text.', default: false },
} as const;
const INTERRUPTED = 130;

export const run = defineCommand({
  meta: { name: 'run', description: 'Ask a running deployment one question.' },
  args: {
    prompt: { type: 'positional', required: false, description: 'The question; piped text follows it.' },
    ...OPTIONS,
  },
  async run({ args }): Promise<number> {
    refuseUnknown({ ...args, _: [] }, new Set(['prompt', ...Object.keys(OPTIONS)]));
    const sampling = samplingOf(args);
    const prompt = await promptOf(args._);
    const client = new ChatClient(chooseTarget(askedTarget(args, process.env), liveRecords()));
    const model = await chooseModel(args.model, client);
    const messages: Message[] = [{ role: 'user', content: prompt }];
    if (args.system) messages.unshift({ role: 'system', content: args.system });
    const stop = new AbortController();
    process.on('SIGINT', () => stop.abort());
    const screen = args.json ? { write: () => {} } : process.stdout;
    const shown = await showAnswer(client.ask({ model, messages, ...sampling }, stop.signal), {
      screen,
      env: process.env,
      nowMs: () => performance.now(),
    });
    if (stop.signal.aborted) return INTERRUPTED;
    if (args.json) process.stdout.write(`${JSON.stringify(documentOf(model, shown))}\n`);
    return 0;
  },
});

async function promptOf(words: readonly string[]): Promise<string> {
  const piped = isPiped(words) ? (await text(process.stdin)).trim() : '';
  const prompt = [words.join(' ').trim(), piped].filter((part) => part !== '').join('\n\n');
  if (prompt !== '') return prompt;
  throw new StatorError(
    'invalid_request',
    'run wants a prompt: `stator run "What is Stator?"`, or text piped in',
  );
}

/** Behind a prompt only a pipe or a file is read: the socket of a supervisor may stay open for ever. */
function isPiped(words: readonly string[]): boolean {
  if (words.length === 0) return process.stdin.isTTY !== true;
  try {
    const status = fstatSync(0);
    return status.isFIFO() || status.isFile();
  } catch {
    return false;
  }
}

const round = (value: number | null) => (value === null ? null : Math.round(value * 10) / 10);

function documentOf(model: string, shown: Shown): object {
  const { text: answer, reasoning, end, firstMs } = shown;
  return {
    model,
    text: answer,
    ...(reasoning === '' ? {} : { reasoning }),
    finish_reason: end?.finishReason ?? null,
    usage: end?.usage ?? null,
    worker: end?.worker ?? null,
    request_id: end?.requestId ?? null,
    ttft_ms: round(firstMs),
    tokens_per_second: round(tokensPerSecond(shown)),
  };
}
