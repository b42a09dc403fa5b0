/**
 * A stream of a pool with OpenAI's API to the client. The bytes are piped inside workerd and not rewritten, so chunks carry
 * the provider's ids and its name of the model. Nobody can go on behind them: a stream that breaks, falls silent or ends
 * without `[DONE]` ends with an error event, and no other pool is asked.
 */
import type { OpenAiPool } from '../../durable/global-router/rpc.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { concat } from '../bytes.ts';
import { pipeEvents } from '../dispatch/pipe.ts';

/** The last line of a stream, and what may stand behind it. */
const END = /(^|\n)data: ?\[DONE\]\s*$/;
const BLANK_LINE = /\n\r?\n$/;
const TAIL_BYTES = 64;

export type StreamEnd =
  | { end: 'done' }
  | { end: 'client-gone' }
  | { end: 'failed'; error: StatorError; insideEvent: boolean; bytes: number };

export async function pipeOpenAi(
  { name, timeoutMs }: OpenAiPool,
  body: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  abort: () => void,
): Promise<StreamEnd> {
  const tail = new Tail();
  let seen = 0;
  let silentMs = 0;
  let silent = false;
  const watch = setInterval(() => {
    silentMs = tail.bytes === seen ? silentMs + LIMITS.openaiPoolLookMs : 0;
    seen = tail.bytes;
    if (silentMs < timeoutMs) return;
    silent = true;
    abort();
  }, LIMITS.openaiPoolLookMs);
  try {
    const end = await pipeEvents(body, writable, tail);
    if (end === 'client-gone') {
      abort();
      return { end };
    }
    if (END.test(tail.text)) return { end: 'done' };
    const why = silent ? `was silent for ${timeoutMs} ms` : 'broke off its stream';
    const error = new StatorError('worker_unavailable', `The pool '${name}' ${why}.`);
    const insideEvent = tail.bytes > 0 && !BLANK_LINE.test(tail.text);
    return { end: 'failed', error, insideEvent, bytes: tail.bytes };
  } finally {
    clearInterval(watch);
  }
}

/** The last bytes of what went through. */
class Tail {
  bytes = 0;
  #last = new Uint8Array(0);

  push(part: Uint8Array): void {
    this.bytes += part.byteLength;
    this.#last = concat([this.#last, part]).slice(-TAIL_BYTES);
  }

  get text(): string {
    return new TextDecoder().decode(this.#last);
  }
}
