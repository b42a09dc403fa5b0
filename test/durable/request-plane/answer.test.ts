/** Answers by NATS whose messages are lost, doubled, cut or never come. Streams are tested with a real server. */

import { describe, expect, it } from 'vitest';
import { Answer } from '../../../durable/request-plane/answer.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import {
  type Control,
  encodeHead,
  encodeMessage,
  MESSAGE,
  type MessageKind,
} from '../../../durable/runtime/nats/request-wire.ts';

const NOTHING = new Uint8Array(0);
const text = (value: string) => new TextEncoder().encode(value);
const head = (length: number, status = 200) =>
  encodeHead({
    status,
    headers: [
      ['content-length', String(length)],
      ['x-stator-worker', 'a1'],
    ],
  });

function make() {
  const controls: Control[] = [];
  let over = 0;
  const answer = new Answer({
    id: 'r1',
    worker: 'a1',
    control: (control) => controls.push(control),
    over: () => {
      over++;
    },
    nowMs: 0,
  });
  const receive = (kind: MessageKind, number: number, bytes: Uint8Array = NOTHING, nowMs = 0) =>
    answer.receive(encodeMessage(kind, number, bytes), nowMs);
  return { answer, controls, over: () => over, receive };
}

describe('an answer by NATS', () => {
  it('is whole when its end has come', async () => {
    const { answer, controls, over, receive } = make();
    receive(MESSAGE.alive, 0);
    receive(MESSAGE.head, 1, head(5));
    receive(MESSAGE.body, 2, text('he'));
    receive(MESSAGE.body, 2, text('he'));
    receive(MESSAGE.body, 3, text('llo'));
    receive(MESSAGE.end, 4);
    const response = await answer.response;
    expect([response.status, await response.text()]).toEqual([200, 'hello']);
    expect(response.headers.get('x-stator-worker')).toBe('a1');
    expect([over(), controls]).toEqual([1, []]);
  });

  it('has the status with which a worker refuses', async () => {
    const { answer, receive } = make();
    receive(MESSAGE.head, 0, head(2, 400));
    receive(MESSAGE.body, 1, text('no'));
    receive(MESSAGE.end, 2);
    expect((await answer.response).status).toBe(400);
  });

  it('is lost with a message, a cut, an end without a head, or what is no message', async () => {
    const faults: ((made: ReturnType<typeof make>) => void)[] = [
      ({ receive }) => receive(MESSAGE.body, 2, text('lo')),
      ({ receive }) => receive(MESSAGE.cut, 1),
      ({ answer }) => answer.receive(text('x'), 0),
    ];
    for (const fault of faults) {
      const made = make();
      made.receive(MESSAGE.head, 0, head(5));
      fault(made);
      await expect(made.answer.response).rejects.toThrow();
      expect(made.controls).toEqual([{ kind: 'cancel', id: 'r1' }]);
      expect(made.over()).toBe(1);
    }
    const { answer, receive } = make();
    receive(MESSAGE.end, 0);
    await expect(answer.response).rejects.toMatchObject({ code: 'worker_unavailable' });
  });

  it('is given up when its worker is silent, and sooner when that one has lost its fleet socket', async () => {
    const silent = make();
    silent.receive(MESSAGE.alive, 0, NOTHING, 1_000);
    silent.answer.tick(1_000 + LIMITS.planeSilenceMs);
    expect(silent.over()).toBe(0);
    silent.answer.tick(1_001 + LIMITS.planeSilenceMs);
    await expect(silent.answer.response).rejects.toMatchObject({ code: 'worker_unavailable' });

    const suspect = make();
    suspect.answer.suspect(100);
    expect(suspect.controls).toEqual([{ kind: 'ping', id: 'r1' }]);
    suspect.receive(MESSAGE.alive, 0, NOTHING, 200);
    suspect.answer.tick(101 + LIMITS.planeSuspectMs);
    expect(suspect.over()).toBe(0);
    suspect.answer.suspect(1_000);
    suspect.answer.tick(1_001 + LIMITS.planeSuspectMs);
    await expect(suspect.answer.response).rejects.toMatchObject({ code: 'worker_unavailable' });
  });

  it('that nobody wants any more is cancelled once', async () => {
    const { answer, controls, over, receive } = make();
    answer.abandon();
    answer.abandon();
    receive(MESSAGE.head, 0, head(1));
    await expect(answer.response).rejects.toMatchObject({ code: 'cancelled' });
    expect(controls).toEqual([{ kind: 'cancel', id: 'r1' }]);
    expect(over()).toBe(1);
  });
});
