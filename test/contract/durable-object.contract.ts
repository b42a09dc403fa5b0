/**
 * What an object may rely on, wherever it runs: one suite for the Node runtime (`durable-object.test.ts` beside this file) and
 * for workerd (`test/objects/durable-object.test.ts`), so that the simulator cannot drift from the real thing.
 */

import { describe, expect, test } from 'vitest';
import type { Probe } from './durable-object.probe.ts';
import { storageCases, type WithStorage } from './durable-object.storage.ts';

type Remote<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

export type ProbeStub = Remote<Omit<Probe, 'fetch' | 'alarm'>>;

/** A client's end of a socket to an object. */
export interface ProbeSocket {
  readonly protocol: string | null;
  send(bytes: Uint8Array): void;
  close(code: number): void;
  /** The next message. */
  next(): Promise<Uint8Array>;
  /** The code, once the socket is closed. */
  readonly closed: Promise<number>;
}

export interface ObjectWorld {
  withStorage: WithStorage;
  stub(name: string): ProbeStub;
  id(name: string): { toString(): string; equals(other: { toString(): string }): boolean };
  connect(name: string): Promise<ProbeSocket>;
  /** The object loses its memory. */
  crash(name: string): Promise<void>;
  nowMs(): number;
  /** Lets time pass until the answer is right; a test's own limit ends it otherwise. */
  until<T>(ask: () => Promise<T>, right: (answer: T) => boolean): Promise<T>;
}

/** Far enough that a busy machine has made the next few calls before. */
const SOON_MS = 1_000;

let names = 0;
const fresh = () => `object-${++names}`;

export function objectContract(world: ObjectWorld): void {
  describe('storage', () => storageCases(world.withStorage));
  describe('calls', () => callCases(world));
  describe('lives', () => lifeCases(world));
  describe('alarms', () => alarmCases(world));
  describe('sockets', () => socketCases(world));
}

function callCases({ stub, id }: ObjectWorld): void {
  test('a name is one object, another name another', async () => {
    const [a, b] = [fresh(), fresh()];
    await stub(a).add(1);
    expect(await stub(a).add(1)).toEqual({ lives: 1, memory: 2, disk: 2 });
    expect(await stub(b).add(1)).toEqual({ lives: 1, memory: 1, disk: 1 });
    expect(await stub(a).ownId()).toBe(id(a).toString());
    expect(id(a).toString()).toMatch(/^[0-9a-f]{64}$/);
    expect([id(a).equals(id(a)), id(a).equals(id(b))]).toEqual([true, false]);
  });

  test('arguments and results are copies', async () => {
    const mine = Uint8Array.of(1, 2);
    expect(await stub(fresh()).fill(mine)).toEqual(Uint8Array.of(9, 9));
    expect(mine).toEqual(Uint8Array.of(1, 2));
  });

  test('what structured clone carries comes back as it was', async () => {
    const value = {
      map: new Map([['a', [1n, null]]]),
      at: new Date(5),
      bytes: Uint8Array.of(3),
      none: undefined,
    };
    expect(await stub(fresh()).echo(value)).toEqual(value);
  });

  test('an exception keeps its message and loses its class', async () => {
    const thrown = await stub(fresh())
      .fail()
      .catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(Error);
    expect(thrown).toMatchObject({ message: 'as asked' });
    expect((thrown as Error).constructor.name).toBe('Error');
  });

  test('a method that is not there is an error of the call', async () => {
    const odd = stub(fresh()) as unknown as { nothing(): Promise<void> };
    await expect(Promise.resolve().then(() => odd.nothing())).rejects.toThrow('nothing');
  });

  test('no call is begun while another waits for storage, and they are begun in order', async () => {
    const name = fresh();
    const answers = await Promise.all(['a', 'b', 'c'].map((word) => stub(name).overlap(word)));
    expect(answers.at(-1)).toEqual(['a', 'b', 'c']);
  });
}

function lifeCases({ stub, crash, until }: ObjectWorld): void {
  test('a crash loses memory and keeps storage', async () => {
    const name = fresh();
    await stub(name).add(5);
    await crash(name);
    expect(await stub(name).add(1)).toEqual({ lives: 2, memory: 1, disk: 6 });
  });

  test('what was being asked when it crashed is rejected', async () => {
    const name = fresh();
    await stub(name).add(1);
    const asked = stub(name)
      .never()
      .then(
        () => 'answered',
        () => 'rejected',
      );
    await stub(name).add(1);
    await crash(name);
    expect(await asked).toBe('rejected');
  });

  test('a timer runs, and ends with its object', async () => {
    const [lives, dies] = [fresh(), fresh()];
    await stub(dies).later(SOON_MS);
    await crash(dies);
    await stub(lives).later(SOON_MS);
    await until(
      () => stub(lives).wasLater(),
      (was) => was,
    );
    expect(await stub(dies).wasLater()).toBe(false);
  });
}

function alarmCases({ stub, crash, until, nowMs }: ObjectWorld): void {
  const rung = (name: string, count: number) =>
    until(
      () => stub(name).rings(),
      (rings) => rings.length >= count,
    );

  test('an alarm rings once', async () => {
    const [name, other] = [fresh(), fresh()];
    await stub(name).ring(nowMs() + 20);
    expect(await rung(name, 1)).toEqual([false]);
    await stub(other).ring(nowMs() + 60);
    await rung(other, 1);
    expect(await stub(name).rings()).toEqual([false]);
  });

  test('also after a crash', async () => {
    const name = fresh();
    await stub(name).ring(nowMs() + 60);
    await crash(name);
    expect(await rung(name, 1)).toEqual([false]);
  });

  test('one that is set again rings at the new time only, one that is deleted never', async () => {
    const [again, deleted, last] = [fresh(), fresh(), fresh()];
    await stub(again).ring(nowMs() + SOON_MS);
    await stub(again).ring(nowMs() + 1);
    await stub(deleted).ring(nowMs() + SOON_MS);
    await stub(deleted).unring();
    await stub(last).ring(nowMs() + SOON_MS);
    await rung(last, 1);
    expect(await stub(again).rings()).toHaveLength(1);
    expect(await stub(deleted).rings()).toEqual([]);
  });

  test('one that fails is repeated', async () => {
    const name = fresh();
    await stub(name).ring(nowMs() + 10, 1);
    expect(await rung(name, 2)).toEqual([false, true]);
  });
}

function socketCases({ stub, crash, connect, until }: ObjectWorld): void {
  test('messages go both ways, whole and in order, under the protocol of the object', async () => {
    const name = fresh();
    const socket = await connect(name);
    expect(socket.protocol).toBe('probe');
    for (const byte of [1, 2, 3]) socket.send(Uint8Array.of(byte, byte));
    for (const byte of [1, 2, 3]) expect(await socket.next()).toEqual(Uint8Array.of(byte, byte));
    expect(await stub(name).say(Uint8Array.of(7))).toBe(1);
    expect(await socket.next()).toEqual(Uint8Array.of(7));
  });

  test('the client hears the code with which the object closes, after everything before it', async () => {
    const socket = await connect(fresh());
    socket.send(Uint8Array.of(5));
    socket.send(Uint8Array.of(0, 42));
    expect(await socket.next()).toEqual(Uint8Array.of(5));
    expect(await socket.closed).toBe(4042);
  });

  test('the object hears the code with which the client closes', async () => {
    const name = fresh();
    const socket = await connect(name);
    socket.close(1000);
    const code = await until(
      () => stub(name).closedWith(),
      (closed) => closed !== undefined,
    );
    expect(code).toBe(1000);
  });

  test('a crash breaks them: the client sees 1006', async () => {
    const name = fresh();
    const socket = await connect(name);
    await crash(name);
    expect(await socket.closed).toBe(1006);
  });
}
