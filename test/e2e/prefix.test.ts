/** KV-aware routing with real engines: a shared prefix goes to the worker that has it, and the answer says so. */

import { describe, expect, it } from 'vitest';
import { deploy, eventually, statusOf } from '../harness/deployment.ts';
import { chat } from '../harness/sse.ts';

const PREFIX = `You are a careful guide to Stator. ${'Every answer is short and true, and every word counts. '.repeat(36)}`;

interface Answer {
  usage: { prompt_tokens: number; prompt_tokens_details: { cached_tokens: number } };
}

describe('a second request with a shared 500-token prefix', () => {
  it('goes to the worker that has it and reports cached tokens', async () => {
    const deployment = await deploy({ workers: 3, engine: 'llama' });
    const ask = async (question: string) => {
      const messages = [
        { role: 'system', content: PREFIX },
        { role: 'user', content: question },
      ];
      const response = await chat(deployment.url, {
        model: 'stator-tiny',
        messages,
        max_tokens: 4,
        temperature: 0,
      });
      expect(response.status).toBe(200);
      return { worker: response.headers.get('x-stator-worker'), answer: (await response.json()) as Answer };
    };
    for (let round = 0; round < 10; round++) {
      const first = await ask(`What is Stator? (${round})`);
      expect(first.answer.usage.prompt_tokens).toBeGreaterThan(500);
      await eventually('the index to hear of the prefix', async () =>
        (await statusOf(deployment)).indexBlocks >= 30 ? true : null,
      );
      const second = await ask(`How do I start it? (${round})`);
      expect(second.worker).toBe(first.worker);
      expect(second.answer.usage.prompt_tokens_details.cached_tokens).toBeGreaterThanOrEqual(480);
    }
  }, 120_000);
});
