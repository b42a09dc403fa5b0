/**
 * The mock engine without time: the shared batch scheduler with the timing polynomial and deterministic tokens of
 * semantics §10. `pass(now)` plans one pass and says when it ends; `finish()` makes it true: KV events, then
 * tokens. The real-time engine and the simulator's worker are thin shells around it.
 *
 * Pure: no clock, timer or random. Blocks become findable when they are scheduled (requests of one pass share them),
 * their events are told at the end of the pass. Cost of a decode step: a few operations a request, one hash a block.
 */

import { BatchScheduler, type SchedulerShape } from '../batch-scheduler.ts';
import { BlockCache } from '../block-cache.ts';
import type { EngineLoad, EngineRequest, EngineSink } from '../engine.ts';
import type { KvEventLog } from '../kv-event-log.ts';
import type { BlockHasher } from '../token-blocks.ts';
import { answerWord } from './answer.ts';
import { MockSequence } from './sequence.ts';
import { type PassWork, passMs, type TimingOptions } from './timing.ts';

export interface MockCoreOptions extends TimingOptions, SchedulerShape {
  maxNumBatchedTokens: number;
  /** Tokens that the answers are made of. */
  answerTokens: Uint32Array;
  /** One token in so many ends the response; 0 = only max_tokens does. */
  eosEvery: number;
  hasher: BlockHasher;
  events: KvEventLog;
}

export class MockCore {
  #options: MockCoreOptions;
  #cache: BlockCache;
  #scheduler: BatchScheduler<MockSequence>;
  #work: PassWork;

  constructor(options: MockCoreOptions) {
    this.#options = options;
    this.#cache = new BlockCache({ capacityBlocks: options.totalBlocks, observer: options.events });
    this.#scheduler = new BatchScheduler({ shape: options, cache: this.#cache, hooks: this });
    const totalKvTokens = options.totalBlocks * options.blockSizeTokens;
    this.#work = { prefillTokens: 0, decodingRequests: 0, decodeContextTokens: 0, totalKvTokens };
  }

  get idle(): boolean {
    return this.#scheduler.idle;
  }

  load(): EngineLoad {
    return this.#scheduler.load();
  }

  /** Queues a request. Throws `overloaded`, `context_length_exceeded` or `invalid_request`. */
  submit(request: EngineRequest, sink: EngineSink): MockSequence {
    this.#scheduler.check(request);
    const sequence = new MockSequence(request, sink, this.#options);
    this.#scheduler.enqueue(sequence);
    return sequence;
  }

  abort(sequence: MockSequence): void {
    this.#scheduler.abort(sequence);
  }

  abortAll(): void {
    this.#scheduler.abortAll();
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
    const work = this.#work;
    work.prefillTokens = work.decodingRequests = work.decodeContextTokens = 0;
    this.#scheduler.plan(this.#options.maxNumBatchedTokens);
    return this.#scheduler.batch.length === 0 ? null : nowMs + passMs(work, this.#options);
  }

  /** The planned pass is over: publishes its KV events and gives every finished prefill and decode its token. */
  finish(): void {
    this.#options.events.flush();
    const { batch } = this.#scheduler;
    for (const sequence of batch) {
      if (sequence.state === 'running' && sequence.computed === sequence.known) this.#answer(sequence);
    }
    batch.length = 0;
  }

  canAdmit(): boolean {
    return true;
  }

  admitted(): void {}

  leaving(): void {}

  scheduled(sequence: MockSequence, tokens: number): void {
    const complete = Math.floor(sequence.computed / this.#options.blockSizeTokens);
    if (complete > sequence.storedBlocks) {
      this.#cache.store(sequence.blocks, sequence.storedBlocks, complete);
      sequence.storedBlocks = complete;
    }
    if (sequence.prefilling) this.#work.prefillTokens += tokens;
    else {
      this.#work.decodingRequests++;
      this.#work.decodeContextTokens += sequence.known;
    }
  }

  #answer(sequence: MockSequence): void {
    if (!this.#scheduler.begin(sequence)) return;
    const index = sequence.generated;
    const word = answerWord(sequence.answer, index);
    const id = this.#options.answerTokens[word % this.#options.answerTokens.length]!;
    if (this.#isLast(sequence.request, { index, word, id })) this.#scheduler.end(sequence, 'stop');
    else this.#scheduler.append(sequence, id);
  }

  #isLast(request: EngineRequest, token: { index: number; word: number; id: number }): boolean {
    if (token.index < request.minTokens) return false;
    const { eosEvery } = this.#options;
    if (eosEvery > 0 && !request.ignoreEos && (token.word >>> 8) % eosEvery === 0) return true;
    return request.stopTokenIds.length > 0 && request.stopTokenIds.includes(token.id);
  }
}
