/**
 * A Durable Object namespace in Node: instances by id, stubs to call them, alarms on the host's time, and what tests and
 * the simulator do to them: `crash` loses an instance's memory and keeps its storage.
 *
 * A stub's call is delivered in a later microtask, arguments and results are cloned as over RPC, an exception loses its
 * class and keeps its message. An instance is made by the first event; calls that a crash interrupts are rejected with
 * `retryable`. An alarm that throws is repeated after 2 s, 4 s, … at most six times.
 */

import type { DatabaseSync } from 'node:sqlite';
import type { Host } from '../platform/host.ts';
import { ObjectId } from './object-id.ts';
import { ObjectState } from './object-state.ts';
import { ObjectStorage } from './object-storage.ts';

type Instance = Record<string, unknown>;
export type ObjectClass<T> = new (ctx: never, env: never) => T;

/** The remote form of an object: every method answers with a promise. */
export type ObjectStub<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => infer R
    ? (...args: A) => Promise<Awaited<R>>
    : never;
};

const ALARM_RETRIES = 6;
const ALARM_RETRY_MS = 2_000;

export interface NamespaceOptions {
  /** Bindings of the objects. */
  env: unknown;
  host: Host;
  /** Hears of alarms that failed for the last time. */
  report: (error: unknown) => void;
}

/** One life of an object. */
interface Life {
  instance: Instance;
  state: ObjectState;
  /** Rejects when the life ends by a crash. */
  ended: Promise<never>;
  end: (reason: Error) => void;
}

export class ObjectNamespace<T extends object> {
  readonly #name: string;
  readonly #class: ObjectClass<T>;
  readonly #options: NamespaceOptions;
  readonly #lives = new Map<string, Life>();
  readonly #disks = new Map<string, DatabaseSync>();
  readonly #ids = new Map<string, ObjectId>();
  /** The number of the latest alarm timer by id: older timers do nothing. */
  readonly #alarms = new Map<string, number>();

  constructor(objectClass: ObjectClass<T>, options: NamespaceOptions) {
    this.#name = objectClass.name;
    this.#class = objectClass;
    this.#options = options;
  }

  idFromName(name: string): ObjectId {
    return ObjectId.fromName(this.#name, name);
  }

  newUniqueId(): ObjectId {
    return ObjectId.unique();
  }

  getByName(name: string): ObjectStub<T> {
    return this.get(this.idFromName(name));
  }

  get(id: ObjectId): ObjectStub<T> {
    const call = (method: string) => (method === 'then' ? undefined : this.#caller(id, method));
    return new Proxy({}, { get: (_target, method) => call(String(method)) }) as ObjectStub<T>;
  }

  /** The object loses its memory; its storage stays. What it was asked and did not answer is rejected. */
  crash(id: ObjectId): void {
    const key = id.toString();
    const life = this.#lives.get(key);
    this.#lives.delete(key);
    life?.state.end();
    life?.end(Object.assign(new Error('the object was reset'), { retryable: true }));
  }

  #caller(id: ObjectId, method: string): (...args: unknown[]) => Promise<unknown> {
    return async (...args) => {
      const given = method === 'fetch' ? args : structuredClone(args);
      await null;
      const life = this.#life(id);
      const answer = life.state.begin(() => {
        const member = life.instance[method];
        if (typeof member !== 'function') throw new TypeError(`the object has no method ${method}`);
        return member.apply(life.instance, given);
      });
      try {
        const result = await Promise.race([answer, life.ended]);
        return method === 'fetch' ? result : structuredClone(result);
      } catch (thrown) {
        throw remoteError(thrown);
      }
    };
  }

  #life(id: ObjectId): Life {
    const key = id.toString();
    const known = this.#lives.get(key);
    if (known) return known;
    const disk = this.#disks.get(key) ?? ObjectStorage.emptyDatabase();
    this.#disks.set(key, disk);
    this.#ids.set(key, id);
    const storage = new ObjectStorage(disk, (dueMs) => this.#arm(key, dueMs, 0));
    const state = new ObjectState(id, storage, this.#options.host);
    const { promise: ended, reject: end } = Promise.withResolvers<never>();
    ended.catch(ignoreUnasked);
    const instance = new this.#class(state as never, this.#options.env as never) as unknown as Instance;
    const life: Life = { instance, state, ended, end };
    this.#lives.set(key, life);
    return life;
  }

  #arm(key: string, dueMs: number | null, attempt: number): void {
    const number = (this.#alarms.get(key) ?? 0) + 1;
    this.#alarms.set(key, number);
    if (dueMs === null) return;
    const { host } = this.#options;
    host.after(dueMs - host.nowMs(), () => {
      if (this.#alarms.get(key) === number) void this.#ring(key, number, attempt);
    });
  }

  async #ring(key: string, number: number, attempt: number): Promise<void> {
    const { instance, state } = this.#life(this.#ids.get(key)!);
    const alarm = instance['alarm'] as (info: unknown) => Promise<void>;
    try {
      await state.begin(async () => {
        await state.storage.deleteAlarm();
        await alarm.call(instance, { isRetry: attempt > 0, retryCount: attempt });
      });
    } catch (thrown) {
      // A handler that failed is called again, unless it set another alarm or failed too often.
      const untouched = this.#alarms.get(key) === number + 1;
      if (!untouched || attempt >= ALARM_RETRIES) this.#options.report(thrown);
      else this.#arm(key, this.#options.host.nowMs() + ALARM_RETRY_MS * 2 ** attempt, attempt + 1);
    }
  }
}

/** Nobody needs to have asked for the end of a life. */
const ignoreUnasked = () => {};

/** What is left of an exception on the other side of an RPC. */
function remoteError(thrown: unknown): Error {
  if (!(thrown instanceof Error)) return Object.assign(new Error(String(thrown)), { remote: true });
  const retryable = (thrown as { retryable?: boolean }).retryable === true;
  return Object.assign(new Error(thrown.message), { remote: true, retryable });
}
