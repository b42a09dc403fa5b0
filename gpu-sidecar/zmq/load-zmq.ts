/** ZMQ's library: optional, because it is native code that not every machine can load. */

import { StatorError } from '../../durable/runtime/errors.ts';

export type Zmq = typeof import('zeromq');

/** Throws `invalid_request` saying what is missing and for which setting. */
export async function loadZmq(setting: string): Promise<Zmq> {
  try {
    return await import('zeromq');
  } catch (cause) {
    const message = `${setting} wants the package zeromq, which cannot be loaded here: ${String(cause)}`;
    throw new StatorError('invalid_request', message, { cause });
  }
}
