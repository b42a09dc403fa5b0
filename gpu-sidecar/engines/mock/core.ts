/**
 * The mock engine without time: continuous batching, prefix cache, chunked prefill, LIFO preemption and the timing
 * polynomial of semantics §10. `pass(now)` plans one pass and says when it ends; `finish()` makes it true: KV events,
 * then tokens. The real-time engine and the simulator's worker are thin shells around it.
 *
 * Pure: no clock, timer or random. Invariants: a request alone always fits (its length is bounded by the
 * cache), so every pass makes progress; blocks of a request are held exactly while it runs. Cost of a decode step: a
 * few operations a request, one hash a block.
 */

import { StatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { BlockCache } from '../block-cache.ts';
import type { EngineLoad, EngineRequest, EngineSink, FinishReason } from '../engine.ts';
import type { KvEventLog } from '../kv-event-log.ts';
import type { BlockHasher } from '../token-blocks.ts';
import { answerWord } from './answer.ts';
import { MockSequence } from './sequence.ts';
import { type PassWork, passMs, type TimingOptions } from './timing.ts';

export interface MockCoreOptions extends TimingOptions {
  blockSizeTokens: number;
  totalBlocks: number;
  maxNumSeqs: number;
  maxNumBatchedTokens: number;
  /** Share of the blocks that an admission leaves free while others run. */
  watermark: number;
  contextLengthTokens: number;
  /** Tokens that the answers are made of. */
  answerTokens: Uint32Array;
  /** One token in so many ends the response; 0 = only max_tokens does. */
  eosEvery: number;
  hasher: BlockHasher;
  events: KvEventLog;
}

export class MockCore {
  readonly contextLengthTokens: number;
  #options: MockCoreOptions;
  #cache: BlockCache;
  #waiting: MockSequence[] = [];
  /** In order of admission; may hold ended ones until the next pass. */
  #running: MockSequence[] = [];
  #runningCount = 0;
  #batch: MockSequence[] = [];
  #budget = 0;
  #work: PassWork;

  constructor(options: MockCoreOptions) {
    this.#options = options;
    this.#cache = new BlockCache({ capacityBlocks: options.totalBlocks, observer: options.events });
    const totalKvTokens = options.totalBlocks * options.blockSizeTokens;
    this.contextLengthTokens = Math.min(options.contextLengthTokens, totalKvTokens);
    this.#work = { prefillTokens: 0, decodingRequests: 0, decodeContextTokens: 0, totalKvTokens };
  }

  get idle(): boolean {
    return this.#runningCount === 0 && this.#waiting.length === 0;
  }

  load(): EngineLoad {
    const { activeBlocks } = this.#cache;
    return { running: this.#runningCount, waiting: this.#waiting.length, kvUsedBlocks: activeBlocks };
  }

  /** Queues a request by priority, then arrival. Throws `overloaded` or `context_length_exceeded`. */
  submit(request: EngineRequest, sink: EngineSink): MockSequence {
    const room = this.contextLengthTokens;
    if (request.promptTokens >= room || request.tokenIds.length > room) {
      throw new StatorError(
        'context_length_exceeded',
        `the prompt has ${request.promptTokens} tokens, the context holds ${room} with the answer`,
      );
    }
    if (this.#waiting.length >= LIMITS.waitingRequests) {
      throw new StatorError('overloaded', `${LIMITS.waitingRequests} requests are already waiting`);
    }
    const sequence = new MockSequence(request, sink, this.#options);
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.request.priority < request.priority) at--;
    if (at === this.#waiting.length) this.#waiting.push(sequence);
    else this.#waiting.splice(at, 0, sequence);
    return sequence;
  }

  /** Ends a request as cancelled, wherever it is; nothing when it has ended. */
  abort(sequence: MockSequence): void {
    if (sequence.state === 'waiting') this.#waiting.splice(this.#waiting.indexOf(sequence), 1);
    if (sequence.state !== 'done') this.#end(sequence, 'cancelled');
  }

  abortAll(): void {
    for (const sequence of [...this.#running, ...this.#waiting]) this.abort(sequence);
  }

  /** Drops cached blocks that no request holds. */
  clear(): number {
    const everything = this.#cache.activeBlocks === 0;
    const count = this.#cache.clear();
    if (everything && count > 0) this.#options.events.cleared();
    return count;
  }

  /** Plans a pass that starts at `nowMs` and returns when it ends, or null when there is nothing to do. */
  pass(nowMs: number): number | null {
    this.#batch.length = 0;
    this.#budget = this.#options.maxNumBatchedTokens;
    const work = this.#work;
    work.prefillTokens = work.decodingRequests = work.decodeContextTokens = 0;
    this.#running = this.#running.filter((sequence) => sequence.state === 'running');
    const preempted = this.#continueRunning();
    if (!preempted) this.#admitWaiting();
    return this.#batch.length === 0 ? null : nowMs + passMs(work, this.#options);
  }

  /** The planned pass is over: publishes its KV events and gives every finished prefill and decode its token. */
  finish(): void {
    this.#options.events.flush();
    for (const sequence of this.#batch) {
      if (sequence.state === 'running' && sequence.computed === sequence.known) this.#emit(sequence);
    }
    this.#batch.length = 0;
  }

  /** Running requests in order; true when one had to give its blocks back. */
  #continueRunning(): boolean {
    let preempted = false;
    for (let i = 0; i < this.#running.length && this.#budget > 0; i++) {
      const sequence = this.#running[i]!;
      const tokens = Math.min(sequence.known - sequence.computed, this.#budget);
      if (!this.#cover(sequence, sequence.computed + tokens)) {
        preempted = true;
        this.#preemptFor(sequence, sequence.computed + tokens);
        if (sequence.state !== 'running') break;
      }
      this.#schedule(sequence, tokens);
    }
    return preempted;
  }

  #admitWaiting(): void {
    const { blockSizeTokens, maxNumSeqs, watermark, totalBlocks } = this.#options;
    while (this.#waiting.length > 0 && this.#runningCount < maxNumSeqs && this.#budget > 0) {
      const sequence = this.#waiting[0]!;
      const { blocks } = sequence;
      const match = this.#cache.match(
        blocks.sequenceHashes,
        Math.floor((sequence.known - 1) / blockSizeTokens),
      );
      const needed = Math.ceil(sequence.known / blockSizeTokens) - match.blocks + match.inactive;
      const reserve = this.#runningCount > 0 ? watermark * totalBlocks : 0;
      if (needed > this.#cache.availableBlocks - reserve) return;
      this.#waiting.shift();
      this.#admit(sequence, match.blocks);
    }
  }

  #admit(sequence: MockSequence, cachedBlocks: number): void {
    const { blockSizeTokens } = this.#options;
    this.#cache.acquire(sequence.blocks, cachedBlocks);
    sequence.heldBlocks = sequence.storedBlocks = cachedBlocks;
    sequence.computed = cachedBlocks * blockSizeTokens;
    sequence.cachedTokens ??= Math.min(sequence.computed, sequence.request.promptTokens);
    sequence.state = 'running';
    sequence.prefilling = true;
    this.#running.push(sequence);
    this.#runningCount++;
    const tokens = Math.min(sequence.known - sequence.computed, this.#budget);
    this.#cover(sequence, sequence.computed + tokens);
    this.#schedule(sequence, tokens);
  }

  /** Holds blocks for the first `tokens` tokens; false when the cache has none left. */
  #cover(sequence: MockSequence, tokens: number): boolean {
    while (sequence.heldBlocks * this.#options.blockSizeTokens < tokens) {
      const slot = this.#cache.allocate();
      if (slot < 0) return false;
      sequence.blocks.setSlot(sequence.heldBlocks++, slot);
    }
    return true;
  }

  #schedule(sequence: MockSequence, tokens: number): void {
    sequence.computed += tokens;
    this.#budget -= tokens;
    const complete = Math.floor(sequence.computed / this.#options.blockSizeTokens);
    if (complete > sequence.storedBlocks) {
      this.#cache.store(sequence.blocks, sequence.storedBlocks, complete);
      sequence.storedBlocks = complete;
    }
    this.#batch.push(sequence);
    if (sequence.prefilling) this.#work.prefillTokens += tokens;
    else {
      this.#work.decodingRequests++;
      this.#work.decodeContextTokens += sequence.known;
    }
  }

  /** Takes blocks from the newest running requests until this one has what it needs, itself included. */
  #preemptFor(sequence: MockSequence, tokens: number): void {
    do {
      const victim = this.#running.pop()!;
      this.#runningCount--;
      this.#cache.release(victim.blocks, victim.heldBlocks);
      victim.heldBlocks = victim.storedBlocks = victim.computed = 0;
      victim.state = 'waiting';
      this.#waiting.unshift(victim);
    } while (sequence.state === 'running' && !this.#cover(sequence, tokens));
  }

  #emit(sequence: MockSequence): void {
    sequence.prefilling = false;
    if (!sequence.started) {
      sequence.started = true;
      sequence.sink.started(sequence.cachedTokens!);
    }
    if (sequence.state !== 'running') return;
    const index = sequence.generated;
    const word = answerWord(sequence.answer, index);
    const id = this.#options.answerTokens[word % this.#options.answerTokens.length]!;
    if (this.#isFull(sequence)) this.#end(sequence, 'length');
    else if (this.#isLast(sequence.request, { index, word, id })) this.#end(sequence, 'stop');
    else this.#append(sequence, id);
  }

  #append(sequence: MockSequence, id: number): void {
    const index = sequence.generated++;
    sequence.known++;
    const full = this.#isFull(sequence);
    if (!full) sequence.blocks.push(id);
    sequence.sink.token(id, index);
    if (full && sequence.state === 'running') this.#end(sequence, 'length');
  }

  #isFull(sequence: MockSequence): boolean {
    return sequence.generated >= sequence.request.maxTokens || sequence.known >= this.contextLengthTokens;
  }

  #isLast(request: EngineRequest, token: { index: number; word: number; id: number }): boolean {
    if (token.index < request.minTokens) return false;
    const { eosEvery } = this.#options;
    if (eosEvery > 0 && !request.ignoreEos && (token.word >>> 8) % eosEvery === 0) return true;
    return request.stopTokenIds.length > 0 && request.stopTokenIds.includes(token.id);
  }

  #end(sequence: MockSequence, reason: FinishReason): void {
    if (sequence.state === 'running') {
      this.#runningCount--;
      this.#cache.release(sequence.blocks, sequence.heldBlocks);
    }
    sequence.state = 'done';
    sequence.sink.end(reason);
  }
}
