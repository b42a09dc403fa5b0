/** What an endpoint answered, as values: NDJSON item by item, JSON and bytes as one. */

import { StatorError } from '../../durable/runtime/errors.ts';
import { refusalOf } from '../server/platform-call.ts';

/** Throws StatorError: what the worker said in place of an item, or that the stream broke off. */
export async function* readAnswer(response: Response): AsyncGenerator<unknown, undefined> {
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('application/x-ndjson')) yield* readLines(response);
  else {
    const bytes = new Uint8Array(await whole(() => response.arrayBuffer()));
    yield type.startsWith('application/json') ? JSON.parse(Buffer.from(bytes).toString('utf8')) : bytes;
  }
}

async function* readLines(response: Response): AsyncGenerator<unknown, undefined> {
  const reader = (response.body ?? new ReadableStream()).pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { value, done } = await whole(() => reader.read());
      if (done) throw brokenOff();
      const lines = (rest + value).split('\n');
      rest = lines.pop()!;
      for (const line of lines) {
        if (line === '') continue;
        const item = JSON.parse(line) as { data?: unknown; event?: string; error?: unknown };
        if (item.event === 'done') return;
        if (item.error !== undefined) throw refusalOf(item, 'the endpoint failed');
        yield item.data;
      }
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}

async function whole<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    throw brokenOff(cause);
  }
}

const brokenOff = (cause?: unknown) =>
  new StatorError('worker_unavailable', 'the answer broke off before its end', { cause });
