/**
 * Both real ends together: a real workerd, two real sidecars, and between them a line that breaks behind every byte of
 * an answer in turn (a share of them in CI). The client gets the undisturbed answer each time, byte for byte but for its own id and time, and
 * nothing stays in flight.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { KEEP_ALIVE } from '../../gpu-sidecar/response/comment.ts';
import { randomSource } from '../bench/prompts.ts';
import { idle, metric, plan, workersServing } from '../harness/deployment.ts';
import { FaultyLine } from '../harness/faulty-line.ts';

const SEED = Number(process.env['STATOR_SEED'] ?? Date.now() % 1_000_000);
/** Behind every how many bytes; \`npm run e2e:cuts\` takes 1, CI's share begins somewhere else each time. */
const EVERY = Number(process.env['STATOR_CUT_EVERY'] ?? 4);
/** Two-byte and four-byte characters in every event. */
const MODEL = 'mödel-😀';
/** Takes more than a second for five tokens, so that a plain answer begins with white space. */
const SLOW_MODEL = `slow ${MODEL}`;

let deployment: Deployment;
const lines: FaultyLine[] = [];
/** Where the next calls of a request are cut, by the client's request id. */
const cuts = new Map<string, number[]>();

beforeAll(async () => {
  deployment = await plan({
    engine: 'mock',
    engineSpeedup: 0,
    routerMode: 'round-robin',
    logLevel: 'error',
  });
  await deployment.startPlatform();
  const scripted = { modelName: MODEL, mockDictation: true, toolCallParser: 'hermes' };
  for (const settings of [scripted, { modelName: SLOW_MODEL, mockDecodeMs: 400 }]) {
    for (let worker = 0; worker < 2; worker++) {
      const cutOf = ({ requestId }: { requestId: string }) => cuts.get(requestId)?.shift() ?? null;
      const line = await FaultyLine.open(deployment.url, cutOf);
      lines.push(line);
      deployment.addSidecar(settings, { STATOR_PLATFORM_URL: line.url });
    }
  }
  await workersServing(deployment, 4);
}, 60_000);

afterAll(async () => {
  await deployment.stop(2_000);
  await Promise.all(lines.map((line) => line[Symbol.asyncDispose]()));
});

interface Ask {
  path: '/v1/chat/completions' | '/v1/completions' | '/v1/messages' | '/v1/responses';
  body: Record<string, unknown>;
}

const WORDS = 'Grüße an alle, die hier warten 😀: eins, zwei, drei, vier, fünf, sechs, sieben, acht.';

const SAMPLED_CHAT: Ask = {
  path: '/v1/chat/completions',
  body: {
    stream: true,
    stream_options: { include_usage: true },
    messages: [{ role: 'user', content: WORDS }],
    max_tokens: 5,
    temperature: 0.8,
    presence_penalty: 0.5,
    seed: 7,
  },
};
const ECHOED_COMPLETION: Ask = {
  path: '/v1/completions',
  body: { stream: true, prompt: WORDS, echo: true, max_tokens: 4, temperature: 0 },
};

const CALL = '<tool_call>{"name": "f", "arguments": {"é": 1}}</tool_call>';
const MESSAGE_WITH_CALL: Ask = {
  path: '/v1/messages',
  body: {
    stream: true,
    messages: [{ role: 'user', content: `${WORDS} «😀 ${CALL}»` }],
    tools: [{ name: 'f', input_schema: { type: 'object' } }],
    max_tokens: 64,
  },
};

const STORED_RESPONSE: Ask = {
  path: '/v1/responses',
  body: { stream: true, input: `${WORDS} «é 😀»`, max_output_tokens: 3 },
};

let asked = 0;

/** The answer as bytes without comments, its own id and time made equal; the line is cut behind these bytes, call by call. */
async function answer({ path, body }: Ask, at: readonly number[] = []): Promise<string> {
  const requestId = `cut-${asked++}`;
  cuts.set(requestId, [...at]);
  const response = await fetch(deployment.url + path, {
    method: 'POST',
    headers: { 'x-request-id': requestId },
    body: JSON.stringify({ model: MODEL, ...body }),
  });
  const bytes = Buffer.from(await response.arrayBuffer()).toString('latin1');
  expect(response.status, bytes).toBe(200);
  expect(cuts.get(requestId), `every cut of ${at} was met`).toEqual([]);
  cuts.delete(requestId);
  return withoutIdentity(bytes.replaceAll(KEEP_ALIVE, ''));
}

/** Every event has the same id and time as the first, or it stands out. */
function withoutIdentity(bytes: string): string {
  const id = /"id":"(?:chatcmpl-|cmpl-|msg_|resp_)([^"]+)"/.exec(bytes)?.[1] ?? 'no id';
  const created = /"created(?:_at)?":(\d+)/.exec(bytes)?.[0] ?? 'no time';
  return bytes.replaceAll(id, 'ID').replaceAll(created, 'CREATED');
}

/** Not `toBe` right away: thousands of comparisons of long strings with their messages would take minutes. */
function expectSame(got: string, whole: string, at: unknown): void {
  if (got !== whole) expect(got, `cut at ${at}`).toBe(whole);
}

/** Its length on the wire. */
async function lengthOf({ path, body }: Ask): Promise<number> {
  const init = { method: 'POST', body: JSON.stringify({ model: MODEL, ...body }) };
  return (await (await fetch(deployment.url + path, init)).arrayBuffer()).byteLength;
}

/** Both workers have the prompt in their caches from now on, so that all runs have the same usage. */
async function warmed(ask: Ask): Promise<string> {
  for (let run = 0; run < 4; run++) await answer(ask);
  return answer(ask);
}

async function all<Item>(
  items: readonly Item[],
  run: (item: Item) => Promise<void>,
  atOnce = 24,
): Promise<void> {
  const queue = items.values();
  const one = async () => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: atOnce }, one));
}

const upTo = (length: number) => Array.from({ length: length + 1 }, (_, index) => index - 1);
const share = (places: readonly number[]) => places.filter((_, index) => index % EVERY === SEED % EVERY);
const migrations = () => metric(deployment, /model_migration_total/);

test.each([
  ['a sampled chat with usage', SAMPLED_CHAT],
  ['a completion that echoes its prompt', ECHOED_COMPLETION],
  ["a message of Anthropic's with a call of a tool", MESSAGE_WITH_CALL],
])(`%s, cut at every byte or every ${EVERY}th (seed ${SEED})`, async (_, ask) => {
  const whole = await warmed(ask);
  expect(whole.match(/data: (\[DONE\]|\{"type":"message_stop"\})/g)).toHaveLength(1);
  const before = await migrations();
  const everywhere = share(upTo(await lengthOf(ask)).slice(0, -1));
  await all(everywhere, async (at) => {
    const got = await answer(ask, [at]);
    expectSame(got, whole, at);
  });
  expect((await migrations()) - before).toBe(everywhere.length);
  await idle(deployment);
});

test('a response, cut at every byte of its pieces and here and there besides, is sent and stored whole', async () => {
  const whole = await warmed(STORED_RESPONSE);
  const head = whole.indexOf('event: response.output_item.added');
  const tail = whole.indexOf('event: response.output_text.done');
  expect([head > 1_000, tail > head, whole.length > tail]).toEqual([true, true, true]);
  const { path, body } = STORED_RESPONSE;
  const init = { method: 'POST', body: JSON.stringify({ model: MODEL, ...body }) };
  const places = upTo(await lengthOf(STORED_RESPONSE)).slice(0, -1);
  await all(
    share(places.filter((at) => (at > head && at < tail) || at % 16 === 0 || at > places.length - 40)),
    async (at) => expectSame(await answer(STORED_RESPONSE, [at]), whole, at),
  );
  const stream = await (await fetch(deployment.url + path, init)).text();
  const last = JSON.parse(/data: (\{"type":"response.incomplete".*)/.exec(stream)![1]!).response;
  expect(last.output).toMatchObject([{ type: 'message', status: 'incomplete' }]);
  const stored = await fetch(`${deployment.url}${path}/${last.id}`);
  expect(await stored.json()).toEqual(last);
  await idle(deployment);
});

test('a stop string held back over several tokens, cut at every byte from where it begins', async () => {
  const whole = await warmed({ ...SAMPLED_CHAT, body: { ...SAMPLED_CHAT.body, max_tokens: 8 } });
  const text = [...whole.matchAll(/"content":("(?:[^"\\]|\\.)*")/g)].map(([, json]) => JSON.parse(json!));
  const spoken = text.join('');
  const body = { ...SAMPLED_CHAT.body, max_tokens: 8, stop: [spoken.slice(-12)] };
  const ask = { ...SAMPLED_CHAT, body };
  const stopped = await warmed(ask);
  expect(stopped).toContain('"finish_reason":"stop"');
  const length = await lengthOf(ask);
  // The last event with text and all behind it: what is held back is told of in the finish event.
  const ending = length - Buffer.from(stopped, 'latin1').lastIndexOf('"content"');
  expect(ending).toBeGreaterThan(300);
  await all(share(upTo(length).slice(-ending, -1)), async (at) => {
    const got = await answer(ask, [at]);
    expectSame(got, stopped, at);
  });
  await idle(deployment);
});

test('a plain answer that took its time, cut anywhere: white space, then the whole document', async () => {
  const { messages } = SAMPLED_CHAT.body;
  const ask: Ask = {
    path: '/v1/chat/completions',
    body: { model: SLOW_MODEL, messages, max_tokens: 5, temperature: 0.8, seed: 7 },
  };
  await Promise.all([answer(ask), answer(ask)]);
  const whole = await answer(ask);
  expect(whole).toMatch(/^ +\{.*"cached_tokens":64.*\}$/);
  const places = upTo(whole.length).filter((at) => at < 10 || at % 5 === 0);
  await all(
    places,
    async (at) => expectSame((await answer(ask, [at])).trim(), whole.trim(), at),
    places.length,
  );
  await idle(deployment);
});

test(`two and three cuts in one answer, anywhere (seed ${SEED})`, async () => {
  const random = randomSource(SEED);
  const whole = await warmed(SAMPLED_CHAT);
  const length = await lengthOf(SAMPLED_CHAT);
  const tuples = Array.from({ length: EVERY === 1 ? 150 : 60 }, (_, index) => {
    let left = length;
    return Array.from({ length: 2 + (index % 2) }, () => {
      const at = Math.floor(random() * left);
      left -= at;
      return at;
    });
  });
  await all(tuples, async (at) => {
    const got = await answer(SAMPLED_CHAT, at);
    expectSame(got, whole, at);
  });
  await idle(deployment);
}, 60_000);
