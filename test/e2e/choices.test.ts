/** Several choices in one stream, and their worker dies: both go on on another one, token for token. */

import { beforeAll, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, metric, sidecarOf } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';

let deployment: Deployment;
beforeAll(async () => {
  deployment = await deploy({ workers: 2, engine: 'llama' });
}, 90_000);

const request = {
  model: 'stator-tiny',
  messages: [{ role: 'user', content: 'Tell me a story.' }],
  stream: true,
  n: 3,
  temperature: 2,
  seed: 11,
  max_tokens: 120,
  ignore_eos: true,
  logprobs: true,
};

it('loses nothing of any choice', async () => {
  const undisturbed = await (await chat(deployment.url, request)).text();
  const response = await chat(deployment.url, request);
  const { pid } = sidecarOf(deployment, response.headers.get('x-stator-worker') as string);
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    if (text.length < 20_000 && text.length + piece.length >= 20_000) process.kill(pid, 'SIGKILL');
    text += piece;
  }
  expect(await metric(deployment, /model_migration_total/)).toBe(1);
  expect(comparable(text)).toEqual(comparable(undisturbed));
});

/** Without comments, ids, times, and the numbers of log probabilities, whose last digits depend on the batches. */
function comparable(stream: string): string[] {
  return stream
    .split('\n\n')
    .filter((event) => !event.startsWith(':'))
    .map((event) =>
      event
        .replace(/"id":"[^"]*"/, '')
        .replace(/"created":\d+/, '')
        .replace(/"logprob":-?[\d.]+/g, ''),
    );
}
