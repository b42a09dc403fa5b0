/**
 * What functions rely on in a Conversations object, whatever runs it: `test/durable/conversations` runs this on the
 * polyfill, `test/workers/durable` in workerd. Time is not moved here.
 */
import { expect, test } from 'vitest';
import type { NewResponse } from '../../durable/conversations/rpc.ts';
import type { ConversationsStub } from '../../functions/env.ts';

export const newResponse = (id: string, others: Partial<NewResponse> = {}): NewResponse => ({
  id,
  previous: null,
  background: false,
  input: JSON.stringify([{ id: `in_${id}`, type: 'message', role: 'user', content: `ask ${id}` }]),
  document: JSON.stringify({ id, status: 'in_progress', output: [] }),
  ...others,
});

export const ended = (id: string, status = 'completed') =>
  JSON.stringify({ id, status, output: [{ type: 'message', id: `out_${id}` }] });

export const statusOf = (document: string | null): unknown =>
  document === null ? null : (JSON.parse(document) as { status: unknown }).status;

export function conversationsContract(stub: (name: string) => ConversationsStub): void {
  test('a response is in progress until its end is told, and then what was told', async () => {
    const object = stub('a');
    expect(await object.read('r1')).toBeNull();
    expect(await object.begin(newResponse('r1'))).toBe(true);
    expect(statusOf(await object.read('r1'))).toBe('in_progress');
    expect(await object.finish('r1', 'completed', ended('r1'))).toBe(true);
    expect(await object.read('r1')).toBe(ended('r1'));
    expect(await object.input('r1')).toBe(newResponse('r1').input);
  });

  test('texts of any length and alphabet come back as they were', async () => {
    const object = stub('long');
    const text = JSON.stringify('😀é\u0000"'.repeat(300_000));
    await object.begin(newResponse('r1', { input: text }));
    expect((await object.input('r1')) === text).toBe(true);
  });

  test('a conversation is read from its first turn on, and each branch by itself', async () => {
    const object = stub('b');
    for (const [id, previous] of [
      ['r1', null],
      ['r2', 'r1'],
      ['r3', 'r2'],
      ['r2b', 'r1'],
    ] as const) {
      await object.begin(newResponse(id, { previous }));
      await object.finish(id, 'completed', ended(id));
    }
    const turn = (id: string) => ({ input: newResponse(id).input, document: ended(id) });
    expect(await object.history('r3')).toEqual({ turns: ['r1', 'r2', 'r3'].map(turn) });
    expect(await object.history('r2b')).toEqual({ turns: ['r1', 'r2b'].map(turn) });
    expect(await object.remove('r1')).toBe(true);
    expect(await object.remove('r1')).toBe(false);
    expect(await object.history('r3')).toEqual({ refused: 'missing', id: 'r1' });
  });

  test('what has no end is not continued', async () => {
    const object = stub('c');
    await object.begin(newResponse('r1'));
    expect(await object.history('r1')).toEqual({ refused: 'unfinished', id: 'r1' });
    expect(await object.history('r0')).toEqual({ refused: 'missing', id: 'r0' });
  });

  test('the first end counts, but a lost reader is none', async () => {
    const object = stub('d');
    await object.begin(newResponse('r1'));
    await object.finish('r1', 'cancelled', ended('r1', 'cancelled'));
    expect(statusOf(await object.read('r1'))).toBe('cancelled');
    await object.finish('r1', 'completed', ended('r1'));
    await object.finish('r1', 'cancelled', ended('r1', 'cancelled'));
    await object.fail('r1', 'too late');
    expect(statusOf(await object.read('r1'))).toBe('completed');
    expect(await object.finish('r0', 'completed', ended('r0'))).toBe(false);
  });

  test('a cancelled response stays so, and keeps what its worker had', async () => {
    const object = stub('e');
    await object.begin(newResponse('r1', { background: true }));
    const watched = object.watch('r1');
    const answer = await object.cancel('r1');
    expect(answer).toMatchObject({ document: expect.stringContaining('"cancelled"') });
    expect(await watched).toBe('unwanted');
    await object.finish('r1', 'completed', ended('r1'));
    expect(JSON.parse((await object.read('r1'))!)).toMatchObject({ status: 'cancelled', output: [] });
    await object.finish('r1', 'cancelled', ended('r1', 'cancelled'));
    expect(await object.read('r1')).toBe(ended('r1', 'cancelled'));
    expect(await object.cancel('r1')).toEqual({ document: ended('r1', 'cancelled') });
  });

  test('only what runs in the background is cancelled', async () => {
    const object = stub('f');
    await object.begin(newResponse('r1'));
    expect(await object.cancel('r1')).toEqual({ refused: 'foreground' });
    expect(await object.cancel('r2')).toEqual({ refused: 'missing' });
  });

  test('a deleted response is wanted no more', async () => {
    const object = stub('g');
    await object.begin(newResponse('r1', { background: true }));
    const watched = object.watch('r1');
    await object.remove('r1');
    expect(await watched).toBe('unwanted');
    expect(await object.watch('r1')).toBe('unwanted');
  });

  test('who watches hears of the end at once', async () => {
    const object = stub('i');
    await object.begin(newResponse('r1', { background: true }));
    const watched = object.watch('r1');
    await object.finish('r1', 'cancelled', ended('r1', 'cancelled'));
    expect(await watched).toBe('going');
    const again = object.watch('r1');
    await object.finish('r1', 'completed', ended('r1'));
    expect(await again).toBe('ended');
  });

  test('a failure is told once', async () => {
    const object = stub('h');
    await object.begin(newResponse('r1'));
    await object.fail('r1', 'nobody there');
    expect(JSON.parse((await object.read('r1'))!)).toMatchObject({
      status: 'failed',
      error: { code: 'server_error', message: 'nobody there' },
    });
  });
}
