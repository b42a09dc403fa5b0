/** Answers held to a form, over HTTP: streamed, whole, several at once, called as tools, and when their worker dies. */

import { Ajv2020 } from 'ajv/dist/2020.js';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy, eventually, metric, sidecarOf, statusOf } from '../harness/deployment.ts';
import { chat, collect, events } from '../harness/sse.ts';

let deployment: Deployment;
const killed = new Set<string>();
beforeAll(async () => {
  deployment = await deploy({ workers: 2, engine: 'llama', toolCallParser: 'hermes' });
}, 90_000);

const schema = {
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 20, maxLength: 40 },
    parts: { type: 'array', items: { enum: ['router', 'worker', 'client'] }, minItems: 2, maxItems: 4 },
    age: { type: 'integer', minimum: 0, maximum: 99 },
  },
  required: ['name', 'parts', 'age'],
  additionalProperties: false,
};
const valid = new Ajv2020().compile(schema);

const request = (changes: object = {}) => ({
  model: 'stator-tiny',
  messages: [{ role: 'user', content: 'What is Stator?' }],
  response_format: { type: 'json_schema', json_schema: { name: 'thing', strict: true, schema } },
  max_tokens: 600,
  temperature: 0,
  ...changes,
});
const sampled = { temperature: 1.1, top_p: 0.95, seed: 5 };

interface Answer {
  choices: { message: { content: string; tool_calls?: Call[] }; finish_reason: string; text?: string }[];
  error?: { param: string; code: string; message: string };
}
interface Call {
  function: { name: string; arguments: string };
}
const answer = async (changes: object): Promise<Answer> =>
  (await (await chat(deployment.url, request(changes))).json()) as Answer;

describe('an answer under a schema', () => {
  it.each([
    ['greedy', {}],
    ['sampled', sampled],
    ['with log probabilities', { ...sampled, logprobs: true, top_logprobs: 2 }],
  ])('%s, obeys, and is the same streamed and whole', async (_, changes) => {
    const { choices } = await answer(changes);
    expect(choices[0]!.finish_reason).toBe('stop');
    expect(valid(JSON.parse(choices[0]!.message.content)), choices[0]!.message.content).toBe(true);
    const streamed = await collect(await chat(deployment.url, request({ ...changes, stream: true })));
    expect(streamed).toMatchObject({ text: choices[0]!.message.content, finishReason: 'stop', done: true });
  });

  it('obeys in each of several choices', async () => {
    const { choices } = await answer({ ...sampled, n: 4 });
    expect(choices.map(({ message }) => valid(JSON.parse(message.content)))).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(new Set(choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
  });

  it('says length when it is cut', async () => {
    const { choices } = await answer({ max_tokens: 5 });
    expect(choices[0]!.finish_reason).toBe('length');
  });

  it.each([
    ['greedy', {}],
    ['sampled', sampled],
    ['of two choices', { ...sampled, n: 2 }],
  ])(
    '%s, goes on to the same letter when its worker dies',
    async (_, changes) => {
      const body = request({ ...changes, stream: true });
      const texts = (raw: string[]) => raw.map((data) => (data === '[DONE]' ? data : deltaOf(data)));
      const whole: string[] = [];
      for await (const { data } of events(await chat(deployment.url, body))) whole.push(data);
      for (const cut of [2, Math.floor(whole.length / 2), whole.length - 4]) {
        const before = await metric(deployment, /model_migration_total/);
        const response = await chat(deployment.url, body);
        const worker = await workerOf(response);
        const { pid } = sidecarOf(deployment, worker);
        killed.add(worker);
        const got: string[] = [];
        for await (const { data } of events(response)) {
          if (got.push(data) === cut) process.kill(pid, 'SIGKILL');
        }
        expect(texts(got), `cut at ${cut} of ${whole.length}`).toEqual(texts(whole));
        expect((await metric(deployment, /model_migration_total/)) - before).toBeLessThanOrEqual(1);
        await healed();
      }
      expect(await metric(deployment, /model_migration_total/)).toBeGreaterThan(0);
    },
    120_000,
  );
});

describe('a forced call', () => {
  const parameters = {
    type: 'object',
    properties: { city: { enum: ['Ulm', 'Kiel'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
    required: ['city', 'days'],
    additionalProperties: false,
  };
  const tools = ['weather', 'climate'].map((name) => ({ type: 'function', function: { name, parameters } }));
  const calling = { response_format: null, tools };

  it.each([
    ['by name', { type: 'function', function: { name: 'climate' } }, ['climate']],
    ['of any tool', 'required', ['weather', 'climate']],
  ])('%s is a call with arguments that obey', async (_, tool_choice, names) => {
    const { choices } = await answer({ ...calling, tool_choice, parallel_tool_calls: false });
    expect(choices[0]!.finish_reason).toBe('tool_calls');
    const [call, ...others] = choices[0]!.message.tool_calls!;
    expect(others).toEqual([]);
    expect(names).toContain(call!.function.name);
    expect(new Ajv2020().compile(parameters)(JSON.parse(call!.function.arguments))).toBe(true);
  });
});

describe('a completion', () => {
  const complete = async (form: object): Promise<Answer & { status: number }> => {
    const response = await fetch(`${deployment.url}/v1/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'stator-tiny',
        prompt: 'Stator is',
        max_tokens: 100,
        temperature: 0,
        ...form,
      }),
    });
    return { ...((await response.json()) as Answer), status: response.status };
  };

  it.each([
    ['guided_regex', { guided_regex: '[a-z]{3,9} [0-9]{4}' }, /^[a-z]{3,9} [0-9]{4}$/],
    ['guided_choice', { guided_choice: ['fast', 'slow'] }, /^(fast|slow)$/],
    ['guided_grammar', { guided_grammar: 'root ::= "a" [bc]{2,4} "d"' }, /^a[bc]{2,4}d$/],
    ['structured_outputs', { structured_outputs: { regex: 'v[0-9]\\.[0-9]' } }, /^v[0-9]\.[0-9]$/],
    ['nvext', { nvext: { guided_choice: ['one'] } }, /^one$/],
  ])('obeys %s', async (_, form, pattern) => {
    const { choices } = await complete(form);
    expect(choices[0]!.text).toMatch(pattern);
    expect(choices[0]!.finish_reason).toBe('stop');
  });

  /** Takes a processor most of a minute. */
  const costly = `start: X\nX: ${Array.from({ length: 30 }, (_, i) => `/(.|\\n)*a${i}(.|\\n){${i}}/`).join(' & ')}`;
  const chain = ['start: r0', ...Array.from({ length: 4_000 }, (_, i) => `r${i}: r${i + 1}`), 'r4000: "a"'];
  it.each([
    ['guided_regex', { guided_regex: '(' }],
    ['guided_grammar', { guided_grammar: 'start: nowhere' }],
    ['guided_grammar', { guided_grammar: chain.join('\n') }],
    ['guided_grammar', { guided_grammar: costly }],
    ['guided_json', { guided_json: { type: 'string', pattern: '(?=a)b' } }],
    ['guided_json', { guided_json: { not: { type: 'string' } } }],
    ['response_format.json_schema.schema', request({ response_format: undefined, ...broken() })],
  ])('refuses a bad %s by name, and the worker lives', async (param, form) => {
    const { error, status } = await complete({ ...form, messages: undefined });
    // Behind a head that went out after a second the status is 200.
    expect({ status: status === 200 ? 400 : status, param: error?.param }).toEqual({ status: 400, param });
    expect((await complete({ guided_choice: ['yes'] })).choices[0]!.text).toBe('yes');
  });
});

function broken(): object {
  const schema = {
    type: 'object',
    properties: { a: { type: 'integer', minimum: 3, maximum: 2 } },
    required: ['a'],
  };
  return { response_format: { type: 'json_schema', json_schema: { name: 'n', schema } } };
}

/** Two workers again, those that were killed not counted: they may still be in the books. */
const healed = () =>
  eventually('two workers', async () => {
    const { workers } = await statusOf(deployment);
    const serving = workers.filter((each) => each.phase === 'serving' && !killed.has(each.instanceId));
    return serving.length === 2 ? true : null;
  });

/** Who answers; a head that went out after a second, before that was known, does not say. */
async function workerOf(response: Response): Promise<string> {
  const named = response.headers.get('x-stator-worker');
  if (named !== null) return named;
  return eventually('a busy worker', async () => {
    const { workers } = await statusOf(deployment);
    return workers.find((each) => each.running > 0 && !killed.has(each.instanceId))?.instanceId ?? null;
  });
}

/** What an event says, without ids, times and usage. */
function deltaOf(data: string): string {
  const { choices } = JSON.parse(data) as {
    choices: { index: number; delta: object; finish_reason: string }[];
  };
  return JSON.stringify(choices.map(({ index, delta, finish_reason }) => [index, delta, finish_reason]));
}
