/** Stored responses as the platform keeps them: what workers tell, and what it finds out itself. */

import { describe, expect, test } from 'vitest';
import { until } from '../durable/fleet-client.ts';
import { errorOf, FLEET_TOKEN, inFlight, platform, post, type Scenario, scenario } from './scenario.ts';

const ask = (run: Scenario, others: Record<string, unknown> = {}) =>
  post('/v1/responses', { model: run.model, input: 'Hi', ...others });
const retrieve = (id: string) => platform(`/v1/responses/${id}`);
const tell = (id: string, state: string, document: string, authorization = `Bearer ${FLEET_TOKEN}`) =>
  platform(`/fleet/v1/responses/${id}?state=${state}`, {
    method: 'PUT',
    body: document,
    headers: { authorization },
  });

async function begun(run: Scenario): Promise<string> {
  await (await ask(run)).text();
  return (await run.log()).generate[0]!.responseId;
}

describe('a stored response', () => {
  test('is in progress until its worker tells the end, and then to the letter what it told', async () => {
    const id = await begun(await scenario({ steps: [{ kind: 'answer' }] }));
    expect(await (await retrieve(id)).json()).toMatchObject({ id, status: 'in_progress', output: [] });
    const document = `{"id":"${id}", "status":"completed","output":[]}`;
    expect(await (await tell(id, 'completed', document)).json()).toEqual({ stored: true });
    const stored = await retrieve(id);
    expect(stored.headers.get('content-type')).toBe('application/json');
    expect(await stored.text()).toBe(document);
  });

  test('has failed when all workers were lost, and its stream ends with a numbered error', async () => {
    const run = await scenario({ steps: [{ kind: 'cut', at: 40 }], workers: 4 });
    const stream = await (await ask(run, { stream: true })).text();
    const { responseId } = (await run.log()).generate[0]!;
    expect(stream).toMatch(
      /event: error\ndata: \{"type":"error","sequence_number":\d+,"code":"migration_exhausted",/,
    );
    expect(await (await retrieve(responseId)).json()).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: expect.stringContaining('lost') },
    });
    expect(await inFlight(run)).toBe(0);
  });

  test('never was when no worker took it', async () => {
    const run = await scenario({ steps: [{ kind: 'cut', at: -1 }], workers: 4 });
    const refused = await ask(run);
    expect(refused.status).toBe(503);
    const { responseId } = (await run.log()).generate[0]!;
    expect((await retrieve(responseId)).status).toBe(404);
  });

  test.each([
    ['when all its workers were lost under way', { kind: 'cut', at: 1 } as const, 'lost'],
    ['when its worker never told the end', { kind: 'answer' } as const, 'did not tell'],
  ])('of the background has failed %s', async (_, step, words) => {
    const run = await scenario({ steps: [step], workers: 4, document: 'chunked' });
    const { id } = await (await ask(run, { background: true })).json<{ id: string }>();
    const stored = async () => (await retrieve(id)).json<{ status: string }>();
    const failed = await until(stored, ({ status }) => status !== 'in_progress');
    expect(failed).toMatchObject({ status: 'failed', error: { message: expect.stringContaining(words) } });
  });

  test('is not continued before it has an end', async () => {
    // One for each request: scripted workers never say that they are done.
    const run = await scenario({ steps: [{ kind: 'answer' }], workers: 2 });
    const id = await begun(run);
    const early = await ask(run, { previous_response_id: id });
    expect(early.status).toBe(400);
    expect(await errorOf(early)).toMatchObject({ param: 'previous_response_id' });
    await tell(id, 'completed', `{"id":"${id}","output":[]}`);
    expect((await ask(run, { previous_response_id: id })).status).toBe(200);
  });
});

describe('the route of workers', () => {
  test('wants the fleet token', async () => {
    for (const authorization of ['none', 'Bearer wrong', 'Bearer sk-stator-test']) {
      expect((await tell(`resp_00${'0'.repeat(32)}`, 'completed', '{}', authorization)).status).toBe(401);
    }
  });

  test('says when nobody wants what it is told', async () => {
    const nobody = await tell(`resp_00${'0'.repeat(32)}`, 'completed', '{}');
    expect(await nobody.json()).toEqual({ stored: false });
    expect((await tell('resp_1', 'completed', '{}')).status).toBe(404);
    const odd = await tell(`resp_00${'0'.repeat(32)}`, 'odd', '{}');
    expect(odd.status).toBe(400);
    expect(await errorOf(odd)).toMatchObject({ param: 'state' });
  });
});
