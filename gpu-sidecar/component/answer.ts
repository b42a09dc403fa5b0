/**
 * One call of a user's endpoint, made safe: whatever the code does (throws, never ends, returns what is no JSON), the caller gets
 * an answer or an error in our form, and the process goes on. The faces write what this gives.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import type { CallContext, EndpointHandler } from './define-component.ts';

/** An item as it goes over the wire: JSON as text, or bytes. */
export type Item = string | Uint8Array;

export type Answer =
  | { kind: 'one'; item: Item }
  /** All items are of the kind of the first. Throws StatorError in place of one. */
  | { kind: 'stream'; first: Item | null; rest: AsyncGenerator<Item> };

/** Runs while somebody waits for the next item; throws when the time for it is over or the caller has left. */
export type InTime = <T>(work: Promise<T>) => Promise<T>;

/** Throws StatorError. */
export async function answerCall(
  handler: EndpointHandler,
  input: unknown,
  context: CallContext,
  inTime: InTime,
): Promise<Answer> {
  const { endpoint } = context;
  const result = await inTime(run(() => handler(input as never, context), endpoint));
  const iterator = iteratorOf(result);
  if (iterator === null) return { kind: 'one', item: itemOf(result, endpoint) };
  const rest = items(iterator, endpoint, inTime);
  const { value = null, done } = await rest.next();
  return { kind: 'stream', first: done ? null : value, rest };
}

async function* items(
  iterator: AsyncIterator<unknown>,
  endpoint: string,
  inTime: InTime,
): AsyncGenerator<Item, undefined> {
  let bytes: boolean | null = null;
  let over = false;
  try {
    for (;;) {
      const { value, done } = await inTime(run(() => iterator.next(), endpoint)).catch((error) => {
        over = true;
        throw error;
      });
      over = done === true;
      if (over) return;
      const item = itemOf(value, endpoint);
      const isBytes = typeof item !== 'string';
      if (bytes !== null && bytes !== isBytes) throw wrong(endpoint, 'yielded bytes and JSON in one stream');
      bytes = isBytes;
      yield item;
    }
  } finally {
    // Code that hangs would hold us here, too.
    if (!over) void run(() => iterator.return?.(), endpoint).catch(() => {});
  }
}

/** What the code throws, as an error of ours; one of ours goes through. */
async function run<T>(code: () => T | Promise<T>, endpoint: string): Promise<T> {
  try {
    return await code();
  } catch (cause) {
    if (cause instanceof StatorError) throw cause;
    const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
    throw new StatorError('engine_error', `endpoint ${endpoint} threw ${reason}`, { cause });
  }
}

function iteratorOf(result: unknown): AsyncIterator<unknown> | null {
  if (typeof result !== 'object' || result === null) return null;
  const make = (result as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator];
  return typeof make === 'function' ? make.call(result) : null;
}

/** Nothing at all is JSON's null. */
function itemOf(value: unknown, endpoint: string): Item {
  if (value instanceof Uint8Array) return value;
  let text: string | undefined;
  try {
    text = JSON.stringify(value === undefined ? null : value);
  } catch (cause) {
    throw wrong(endpoint, `answered with what is no JSON: ${(cause as Error).message.split('\n')[0]}`, cause);
  }
  if (text === undefined) throw wrong(endpoint, `answered with what is no JSON: a ${typeof value}`);
  return text;
}

const wrong = (endpoint: string, what: string, cause?: unknown) =>
  new StatorError('engine_error', `endpoint ${endpoint} ${what}`, { cause });
