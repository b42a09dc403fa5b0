/**
 * One worker's stream to the client, and a copy that says where it broke (design 1.4).
 *
 * The bytes go from body to client inside workerd without JavaScript. The other branch of the tee keeps what went
 * through; once per `LIMITS.keptDrainMs` it is read, and `KeptEvents` holds a bounded part of it, so that a stream holds
 * a second of bytes and not all of them. A read costs some 20 µs, so a token a fraction of one. Reading may pull one portion
 * ahead of a stalled client; what was pulled still reaches the client before a break is seen.
 */
import { LIMITS } from '../../durable/runtime/limits.ts';

/** How a leg ended. `ended`: the worker closed its body in order, which does not yet mean that nothing is missing. */
export type LegEnd = 'ended' | 'lost' | 'client-gone';

/** Takes what went through, now and then. */
export interface Kept {
  push(bytes: Uint8Array): void;
}

const LEAVE_OPEN = { preventAbort: true, preventClose: true };

/** Pipes until the body ends or breaks; then `kept` holds all that went through. Never throws. */
export async function pipeEvents(
  body: ReadableStream<Uint8Array>,
  writable: WritableStream<Uint8Array>,
  kept: Kept,
): Promise<LegEnd> {
  const [live, copy] = body.tee();
  const drain = new Drain(copy, kept);
  let end: LegEnd = 'ended';
  try {
    await live.pipeTo(writable, LEAVE_OPEN);
  } catch {
    end = (await isBroken(writable)) ? 'client-gone' : 'lost';
  }
  if (end === 'client-gone') drain.cancel();
  else await drain.finish();
  return end;
}

/** Was it the client's side that failed? */
export async function isBroken(writable: WritableStream<Uint8Array>): Promise<boolean> {
  const writer = writable.getWriter();
  try {
    let broken = false;
    writer.closed.catch(() => {
      broken = true;
    });
    // A stream that is broken already says so within the microtasks of this turn.
    await scheduler.wait(0);
    return broken;
  } finally {
    writer.releaseLock();
  }
}

class Drain {
  readonly #reader: ReadableStreamBYOBReader;
  readonly #kept: Kept;
  /** Lent to each read and got back from it. */
  #buffer = new Uint8Array(LIMITS.keptReadBytes);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading: Promise<void> | null = null;
  #ended = false;

  constructor(copy: ReadableStream<Uint8Array>, kept: Kept) {
    this.#reader = copy.getReader({ mode: 'byob' });
    this.#kept = kept;
    this.#arm();
  }

  /** Reads what is left. */
  async finish(): Promise<void> {
    clearTimeout(this.#timer);
    const reading = this.#reading;
    this.#ended = true;
    if (reading !== null) await reading;
    while (await this.#read()) {}
  }

  cancel(): void {
    clearTimeout(this.#timer);
    this.#ended = true;
    this.#reader.cancel('the client is gone').catch(() => {});
  }

  #arm(): void {
    this.#timer = setTimeout(() => {
      this.#reading = this.#portions();
    }, LIMITS.keptDrainMs);
  }

  async #portions(): Promise<void> {
    const more = await this.#read();
    this.#reading = null;
    if (more && !this.#ended) this.#arm();
  }

  /** One portion; false when there is no other. */
  async #read(): Promise<boolean> {
    try {
      const { done, value } = await this.#reader.read(this.#buffer);
      if (done || value === undefined) return false;
      this.#kept.push(value.slice());
      this.#buffer = new Uint8Array(value.buffer);
      return true;
    } catch {
      return false;
    }
  }
}
