/** A promise with an end: what NATS answers may never come. */

import { StatorError } from '../../durable/runtime/errors.ts';

/** Rejects with `deadline_exceeded` after a time. */
export async function inTime<T>(promise: Promise<T>, limitMs: number, late: string): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new StatorError('deadline_exceeded', late)), limitMs);
  });
  try {
    return await Promise.race([promise, end]);
  } finally {
    clearTimeout(timer);
  }
}
