/**
 * The Batches object in virtual time, with a platform that answers as the test says: each line is answered once, whatever
 * crashes when; what finds no room comes later; cancelling and expiry end what is under way.
 */

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Batches } from '../../../durable/batches/batches-object.ts';
import type { BatchRecord } from '../../../durable/batches/rpc.ts';
import { ObjectNamespace } from '../../../durable/polyfill/object-namespace.ts';
import { VirtualHost } from '../../../durable/polyfill/virtual-host.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import type { BatchesStub } from '../../../functions/env.ts';
import { batchesContract, granted, readFile, sendFile } from '../../contract/batches.contract.ts';

interface Asked {
  name: string;
  init: RequestInit & { headers: Record<string, string> };
  body: Record<string, unknown>;
}
type Answer = (asked: Asked) => Promise<Response> | Response;

const line = (name: string, body: object = {}) => ({
  custom_id: name,
  method: 'POST',
  url: '/v1/completions',
  body: { model: 'm', prompt: name, ...body },
});
const ok = ({ name }: Asked) => Response.json({ said: name });
const refused = (status: number, code: string) => Response.json({ error: { code } }, { status });
const names = (count: number) => Array.from({ length: count }, (_, at) => `n${at}`);

class World {
  readonly host = new VirtualHost({ startMs: 1_000 });
  readonly asked: Asked[] = [];
  readonly abandoned: string[] = [];
  underWay = 0;
  most = 0;
  answer: Answer = ok;
  readonly object: BatchesStub;
  readonly #namespace: ObjectNamespace<Batches>;
  #life = 0;

  constructor() {
    const fetch = async (_url: string, init: Asked['init']): Promise<Response> => {
      const body = JSON.parse(String(init.body)) as Record<string, unknown>;
      const asked = { name: String(body['prompt']), init, body };
      this.asked.push(asked);
      this.most = Math.max(this.most, ++this.underWay);
      const life = this.#life;
      try {
        return await this.answer(asked);
      } finally {
        this.underWay--;
        // Who asked is gone: nobody gets the answer.
        if (life !== this.#life) await new Promise(() => {});
      }
    };
    this.#namespace = new ObjectNamespace(Batches, {
      env: {
        SELF: { fetch },
        STATOR_API_KEY: 'key',
        DIRECTORY: {
          idFromName: String,
          get: () => ({ read: async () => ({ models: [{ namespace: 'ns' }] }) }),
        },
        ROUTER: {
          idFromName: String,
          get: () => ({ abandon: async (ids: string[]) => void this.abandoned.push(...ids) }),
        },
      },
      host: this.host,
      report: (error) => {
        throw error;
      },
    });
    this.object = this.stub('batches');
  }

  stub(name: string): BatchesStub {
    return this.#namespace.getByName(name) as unknown as BatchesStub;
  }

  crash(): void {
    this.#life++;
    this.#namespace.crash(this.#namespace.idFromName('batches'));
  }

  /** Answers after so long in virtual time, unless the caller leaves. */
  after(ms: number, answer: Answer): Answer {
    return (asked) =>
      new Promise((resolve, reject) => {
        asked.init.signal?.addEventListener('abort', () => reject(new Error('aborted')));
        this.host.after(ms, () => resolve(answer(asked)));
      });
  }

  async begin(lines: readonly unknown[]): Promise<string> {
    const text = lines.map((each) => (typeof each === 'string' ? each : JSON.stringify(each))).join('\n');
    const id = await sendFile(this.object, new TextEncoder().encode(text));
    const batch = await this.object.createBatch({
      inputFileId: id,
      endpoint: '/v1/completions',
      metadata: null,
    });
    return granted(batch).id;
  }

  async until(id: string, state: string, stepMs = 50): Promise<BatchRecord> {
    for (let steps = 0; steps < 20_000; steps++) {
      const batch = (await this.object.batch(id))!;
      if (batch.state === state) return batch;
      await this.host.advance(stepMs);
    }
    throw new Error(`${id} never came to ${state}: ${JSON.stringify(await this.object.batch(id))}`);
  }

  async lines(file: string | null): Promise<{ custom_id: string; response: unknown; error: unknown }[]> {
    const text = file === null ? '' : new TextDecoder().decode(await readFile(this.object, file));
    return text
      .split('\n')
      .filter((each) => each !== '')
      .map((each) => JSON.parse(each));
  }
}

const contractWorld = new World();
contractWorld.answer = () => refused(404, 'model_not_found');

batchesContract({
  stub: (name) => contractWorld.stub(name),
  async until(ask, right) {
    for (;;) {
      const answer = await ask();
      if (right(answer)) return answer;
      await contractWorld.host.advance(10);
    }
  },
});

describe('the Batches object', () => {
  it('sends each line as a client of the lowest priority, a few at once, and writes its answers in order', async () => {
    const world = new World();
    world.answer = world.after(20, (asked) =>
      asked.name === 'n7' ? refused(400, 'invalid_request') : ok(asked),
    );
    const id = await world.begin([...names(99).map((name) => line(name)), line('own', { priority: 3 })]);
    const batch = await world.until(id, 'completed');
    expect(batch).toMatchObject({ total: 100, completed: 99, failed: 1, errors: [] });
    expect(world.most).toBe(LIMITS.batchRequests);
    const { init, body } = world.asked[0]!;
    expect(init.headers).toMatchObject({
      authorization: 'Bearer key',
      'x-dynamo-meta-policy-class': 'batch',
    });
    expect(body['priority']).toBe(-0x7fff_ffff);
    expect(world.asked.find(({ name }) => name === 'own')?.body['priority']).toBe(3);
    const answers = await world.lines(batch.outputFileId);
    expect(answers.map(({ custom_id }) => custom_id)).toEqual([
      ...names(99).filter((name) => name !== 'n7'),
      'own',
    ]);
    expect(answers[0]).toMatchObject({
      response: { status_code: 200, request_id: expect.stringMatching(/^req_/), body: { said: 'n0' } },
      error: null,
    });
    expect(await world.lines(batch.errorFileId)).toMatchObject([
      { custom_id: 'n7', response: { status_code: 400, body: { error: { code: 'invalid_request' } } } },
    ]);
  });

  it('answers each line once, whenever it crashes', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.integer({ min: 1, max: 120 }), { maxLength: 5 }),
        async (count, crashes) => {
          const world = new World();
          world.answer = world.after(30, (asked) =>
            Number(asked.name.slice(1)) % 5 === 3 ? refused(400, 'invalid_request') : ok(asked),
          );
          const id = await world.begin(names(count).map((name) => line(name)));
          for (const ms of crashes) {
            await world.host.advance(ms);
            world.crash();
          }
          const batch = await world.until(id, 'completed');
          const answers = await world.lines(batch.outputFileId);
          const errors = await world.lines(batch.errorFileId);
          const got = [...answers, ...errors].map(({ custom_id }) => custom_id);
          expect(got.sort()).toEqual(names(count).sort());
          expect(errors).toHaveLength(names(count).filter((_, at) => at % 5 === 3).length);
          expect(batch).toMatchObject({ completed: answers.length, failed: errors.length });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('goes on by its alarm after a crash, without being asked', async () => {
    const world = new World();
    world.answer = world.after(100, ok);
    await world.begin(names(60).map((name) => line(name)));
    await world.host.advance(150);
    world.crash();
    const before = world.asked.length;
    await world.host.advance(LIMITS.batchAlarmMs + 1_000);
    expect(world.asked.length).toBeGreaterThan(before);
  });

  it('lets lines that find no room come later, and pauses meanwhile', async () => {
    const world = new World();
    let room = false;
    world.answer = world.after(1, (asked) => (room ? ok(asked) : refused(529, 'overloaded')));
    const id = await world.begin(names(30).map((name) => line(name)));
    await world.host.advance(60_000);
    // Pauses grow to a quarter of a minute: a few bursts in a minute, and not thousands of calls.
    expect(world.asked.length).toBeLessThan(20 * LIMITS.batchRequests);
    room = true;
    expect(await world.until(id, 'completed')).toMatchObject({ completed: 30, failed: 0 });
  });

  it('waits for a model that is not there yet, while other lines go on', async () => {
    const world = new World();
    let there = false;
    world.answer = world.after(1, (asked) =>
      asked.body['model'] === 'm' || (there && asked.body['model'] === 'late')
        ? ok(asked)
        : refused(404, 'model_not_found'),
    );
    const id = await world.begin([
      line('never', { model: 'nobody' }),
      line('late', { model: 'late' }),
      ...names(20).map((name) => line(name)),
    ]);
    await world.host.advance(3_000);
    expect((await world.object.batch(id))?.completed).toBe(20);
    there = true;
    expect(await world.until(id, 'completed')).toMatchObject({ completed: 21, failed: 1 });
  });

  it('tries what breaks a few times, and then says so', async () => {
    const world = new World();
    world.answer = () => Promise.reject(new Error('broken'));
    const id = await world.begin([line('a')]);
    const batch = await world.until(id, 'completed');
    expect(world.asked).toHaveLength(LIMITS.batchAttempts);
    expect(await world.lines(batch.errorFileId)).toMatchObject([{ response: { status_code: 500 } }]);
  });

  it('ends what is under way when it is cancelled, and says of each line what became of it', async () => {
    const world = new World();
    world.answer = (asked) => (asked.name === 'n0' ? ok(asked) : world.after(1_000_000, ok)(asked));
    const id = await world.begin(names(50).map((name) => line(name)));
    await world.host.advance(100);
    expect(world.underWay).toBe(LIMITS.batchRequests);
    expect(granted(await world.object.cancelBatch(id))?.state).toBe('cancelling');
    const batch = await world.until(id, 'cancelled', 1);
    expect(world.underWay).toBe(0);
    expect(world.abandoned).toHaveLength(LIMITS.batchRequests);
    const sent = world.asked.map(({ init }) => init.headers['x-request-id']);
    expect(sent).toEqual(expect.arrayContaining(world.abandoned));
    expect((await world.lines(batch.outputFileId)).map(({ custom_id }) => custom_id)).toEqual(['n0']);
    const errors = await world.lines(batch.errorFileId);
    expect(errors).toHaveLength(49);
    expect(errors[0]).toMatchObject({ response: null, error: { code: 'batch_cancelled' } });
    expect(granted(await world.object.cancelBatch(id))?.state).toBe('cancelled');
  });

  it('expires after its window', async () => {
    const world = new World();
    world.answer = world.after(10 * LIMITS.batchWindowMs, ok);
    const id = await world.begin([line('a'), line('b')]);
    const batch = await world.until(id, 'expired', 600_000);
    expect(batch.sinceMs.expired! - batch.createdMs).toBeGreaterThanOrEqual(LIMITS.batchWindowMs);
    expect(await world.lines(batch.errorFileId)).toMatchObject([
      { error: { code: 'batch_expired' } },
      { error: { code: 'batch_expired' } },
    ]);
  });

  it('lets several batches take turns', async () => {
    const world = new World();
    world.answer = world.after(10, ok);
    const first = await world.begin(names(400).map((name) => line(name)));
    await world.host.advance(20);
    const second = await world.begin(names(20).map((name) => line(name)));
    await world.until(second, 'completed', 5);
    expect((await world.object.batch(first))?.state).toBe('in_progress');
  });

  it('keeps a file while a batch reads it, and refuses to begin with another', async () => {
    const world = new World();
    world.answer = world.after(1_000_000, ok);
    const id = await world.begin([line('a')]);
    const { inputFileId } = (await world.object.batch(id))!;
    await world.host.advance(10);
    expect(await world.object.removeFile(inputFileId)).toMatchObject({ refused: 'invalid_request' });
    await world.object.cancelBatch(id);
    await world.until(id, 'cancelled');
    expect(await world.object.removeFile(inputFileId)).toBe(true);
    const again = { inputFileId, endpoint: '/v1/completions' as const, metadata: null };
    expect(await world.object.createBatch(again)).toMatchObject({ refused: 'not_found' });
  });

  it('refuses a file of too many requests and one of too many faults at once', async () => {
    const world = new World();
    const small = JSON.stringify(line('x'));
    const many = await world.begin(
      Array.from({ length: LIMITS.batchLines + 1 }, (_, at) => small.replace('"x"', `"${at}"`)),
    );
    const failed = await world.until(many, 'failed', 1);
    expect(failed.errors).toMatchObject([{ code: 'too_many_requests', line: LIMITS.batchLines + 1 }]);
    const faults = await world.until(await world.begin(Array(1_000).fill('no')), 'failed', 1);
    expect(faults.errors).toHaveLength(LIMITS.batchErrors);
    expect(world.asked).toEqual([]);
  });
});
