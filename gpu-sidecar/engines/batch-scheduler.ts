/**
 * Which tokens of which requests go into the next pass: continuous batching over a block cache, with chunked prefill
 * and LIFO preemption (semantics §10). Shared by the engines that schedule for themselves; what a pass does with the
 * tokens is theirs, through the hooks.
 *
 * Pure: no clock, timer or random. Invariants: a request alone always fits (its length is bounded by the cache), so
 * every pass makes progress; blocks of a request are held exactly while it runs. Sinks may submit and abort from
 * within their calls, hooks may not.
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { BlockCache } from './block-cache.ts';
import type { EngineLoad, EngineRequest, FinishReason, TokenLogprobs } from './engine.ts';
import type { Sequence } from './sequence.ts';

export interface SchedulerShape {
  blockSizeTokens: number;
  totalBlocks: number;
  maxNumSeqs: number;
  contextLengthTokens: number;
  vocabularySize: number;
  /** Share of the blocks that an admission leaves free while others run. */
  watermark: number;
  /** False for models whose state cannot be cut at a block. */
  prefixCaching: boolean;
}

/** What the engine does at the turns of a request's life. */
export interface SchedulerHooks<S extends Sequence> {
  /** A last condition before a waiting request is admitted. */
  canAdmit(): boolean;
  /** It runs now and holds `cachedBlocks` leading blocks from the cache. */
  admitted(sequence: S, cachedBlocks: number): void;
  /** Its tokens `computed - tokens` to `computed` are part of the pass; blocks for them are held. */
  scheduled(sequence: S, tokens: number): void;
  /** It ends or is preempted: its blocks are about to be released. */
  leaving(sequence: S): void;
}

/** Tiers behind the cache, from which blocks can be had instead of being computed. */
export interface HostLoads<S extends Sequence> {
  /** Blocks there that follow those on the device; `later`: ask again after a `wake`. */
  lookup(sequence: S, deviceBlocks: number): number | 'later';
  /** Begins to fetch blocks `from` to `to` (exclusive), for which slots are held; ends with `fetched`. */
  load(sequence: S, from: number, to: number): void;
  /** The request runs; its first `loadedBlocks` were fetched or there when the rest was. */
  admitted(sequence: S, loadedBlocks: number): void;
  /** A slot is given to somebody: its last content may still be read. */
  taken(slot: number): void;
  /** A request that was looked up ends before it runs: what it holds is about to be released. */
  left(sequence: S): void;
}

export class BatchScheduler<S extends Sequence> {
  /** The sequences of the current pass, in order. */
  readonly batch: S[] = [];
  /** Requests wait for blocks that were promised them: no other may take any. */
  freshMustWait = false;
  #shape: SchedulerShape;
  #cache: BlockCache;
  #hooks: SchedulerHooks<S>;
  #host: HostLoads<S> | null;
  #waiting: S[] = [];
  /** Wait for blocks from the host tier; they go before the others as soon as one of its copies has ended. */
  #fetching: { sequence: S; awake: boolean; loading: boolean }[] = [];
  /** In order of admission; may hold ended ones until the next pass. */
  #running: S[] = [];
  #runningCount = 0;
  /** `#running` holds ended ones. */
  #hasEnded = false;
  /** The first waiting request did not fit in the last plan, and nothing has changed since. */
  #headBlocked = false;
  #budget = 0;

  constructor(parts: {
    shape: SchedulerShape;
    cache: BlockCache;
    hooks: SchedulerHooks<S>;
    host?: HostLoads<S> | null;
  }) {
    this.#shape = parts.shape;
    this.#cache = parts.cache;
    this.#hooks = parts.hooks;
    this.#host = parts.host ?? null;
  }

  get idle(): boolean {
    return this.#runningCount === 0 && this.#waiting.length === 0 && this.#fetching.length === 0;
  }

  load(): EngineLoad {
    const { activeBlocks } = this.#cache;
    let decodeKvTokens = 0;
    for (const { state, prefilling, known } of this.#running) {
      if (state === 'running' && !prefilling) decodeKvTokens += known;
    }
    return {
      running: this.#runningCount,
      waiting: this.#waitingCount,
      kvUsedBlocks: activeBlocks,
      decodeKvTokens,
    };
  }

  get #waitingCount(): number {
    return this.#waiting.length + this.#fetching.length;
  }

  /** Tokens of waiting and running requests that neither exist nor are in the current pass. */
  get queuedTokens(): number {
    let tokens = 0;
    for (const { known, computed } of this.#waiting) tokens += known - computed;
    for (const { known, computed } of this.#running) tokens += known - computed;
    return tokens;
  }

  /** Throws StatorError when a request can never or not now be taken. */
  check(request: EngineRequest): void {
    const room = this.#shape.contextLengthTokens;
    if (request.promptTokens >= room || request.tokenIds.length > room) {
      throw new StatorError(
        'context_length_exceeded',
        `the prompt has ${request.promptTokens} tokens, the context holds ${room} with the answer`,
        { param: 'messages' },
      );
    }
    if (request.promptTokens === 0) throw new StatorError('invalid_request', 'the prompt has no tokens');
    const { tokenIds } = request;
    for (let i = 0; i < tokenIds.length; i++) {
      if (tokenIds[i]! < this.#shape.vocabularySize) continue;
      throw new StatorError(
        'invalid_request',
        `the prompt has the token ${tokenIds[i]}, which the model has not`,
      );
    }
    if (this.#waitingCount >= LIMITS.waitingRequests) {
      throw new StatorError('overloaded', `${LIMITS.waitingRequests} requests are already waiting`);
    }
  }

  /** Queues a checked request by priority, then arrival. */
  enqueue(sequence: S): void {
    const { priority } = sequence.request;
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.request.priority < priority) at--;
    if (at === 0) this.#headBlocked = false;
    if (at === this.#waiting.length) this.#waiting.push(sequence);
    else this.#waiting.splice(at, 0, sequence);
  }

  /** Holds the blocks of a whole prompt that another worker computes; false when there is no room for them now. */
  reserve(sequence: S): boolean {
    const { blockSizeTokens, maxNumSeqs, prefixCaching } = this.#shape;
    if (this.#runningCount >= maxNumSeqs) return false;
    const most = prefixCaching ? Math.floor(sequence.known / blockSizeTokens) : 0;
    const match = this.#cache.match(sequence.blocks.sequenceHashes, most);
    const needed = Math.ceil(sequence.known / blockSizeTokens) - match.blocks + match.inactive;
    if (needed > this.#cache.availableBlocks) return false;
    this.#cache.acquire(sequence.blocks, match.blocks);
    sequence.heldBlocks = sequence.storedBlocks = match.blocks;
    return this.#cover(sequence, sequence.known);
  }

  /** What was reserved has come, in any order: queued by `order`, with nothing left to compute but the answer. */
  activate(sequence: S): void {
    sequence.computed = sequence.cachedTokens = sequence.known;
    let at = this.#waiting.length;
    while (at > 0 && this.#waiting[at - 1]!.order > sequence.order) at--;
    this.#waiting.splice(at, 0, sequence);
    this.#headBlocked = false;
  }

  /** Gives back the blocks of a request that does not run. */
  release(sequence: S): void {
    this.#cache.release(sequence.blocks, sequence.heldBlocks);
    sequence.heldBlocks = sequence.storedBlocks = 0;
    this.#headBlocked = false;
  }

  /** Ends a request as cancelled, wherever it is; nothing when it has ended. */
  abort(sequence: S): void {
    if (sequence.state !== 'done') this.end(sequence, 'cancelled');
  }

  abortAll(): void {
    const fetching = this.#fetching.map(({ sequence }) => sequence);
    for (const sequence of [...this.#running, ...this.#waiting, ...fetching]) this.abort(sequence);
  }

  /** Fills `batch` with at most `budgetTokens` tokens of running and, if all of those fit, waiting requests. */
  plan(budgetTokens: number): void {
    this.batch.length = 0;
    this.#budget = budgetTokens;
    this.#headBlocked = false;
    if (this.#hasEnded) {
      this.#running = this.#running.filter(({ state }) => state === 'running');
      this.#hasEnded = false;
    }
    if (!this.#continueRunning()) return;
    if (this.#host !== null) this.#admitFetching(this.#host);
    else this.#admitWaiting();
  }

  /** A copy of the host tier has ended: who waits for one looks again. */
  wake(): void {
    for (const each of this.#fetching) each.awake = !each.loading;
  }

  /** The first `heldBlocks` of those that a request holds are there, the rest will not come: its slots are free again. */
  fetched(sequence: S, heldBlocks = sequence.heldBlocks): void {
    this.#cache.release(sequence.blocks, sequence.heldBlocks, heldBlocks);
    sequence.heldBlocks = heldBlocks;
    const blocks = Math.min(heldBlocks, this.#mostCached(sequence.known));
    sequence.computed = blocks * this.#shape.blockSizeTokens;
    if (heldBlocks > 0) sequence.cachedTokens ??= Math.min(sequence.computed, sequence.request.promptTokens);
    for (const each of this.#fetching) if (each.sequence === sequence) each.loading = false;
  }

  /**
   * How many passes from now on would give every running request its next token and do nothing else: no admission, no
   * end, no block taken or filled. They may be taken in one `skip`.
   */
  steadyPasses(budgetTokens: number): number {
    if (this.#fetching.length > 0) return 0;
    if (this.#hasEnded || this.#runningCount === 0 || this.#runningCount > budgetTokens) return 0;
    if (this.#waiting.length > 0 && !this.#headBlocked) return 0;
    const { blockSizeTokens, contextLengthTokens } = this.#shape;
    let passes = Number.POSITIVE_INFINITY;
    for (const { computed, known, generated, prefilling, request } of this.#running) {
      const filled = computed % blockSizeTokens;
      if (prefilling || known - computed !== 1 || filled === 0) return 0;
      const untilBlock = blockSizeTokens - filled - 1;
      const untilEnd = Math.min(request.maxTokens - generated, contextLengthTokens - known) - 1;
      passes = Math.min(passes, untilBlock, untilEnd);
    }
    return passes;
  }

  /** The outcome of that many steady passes. The tokens' ids must not matter: nobody is told of them. */
  skip(passes: number): void {
    for (const sequence of this.#running) {
      sequence.computed += passes;
      sequence.known += passes;
      sequence.generated += passes;
    }
  }

  /** Those that run, in order of admission; read it between passes. */
  get running(): readonly S[] {
    return this.#running;
  }

  /** The prefill is over: tells the sink once. False when the request has ended, or ends here for want of room. */
  begin(sequence: S): boolean {
    sequence.prefilling = false;
    if (!sequence.started) {
      sequence.started = true;
      sequence.sink.started(sequence.cachedTokens!);
    }
    if (sequence.state !== 'running') return false;
    const complete = sequence.constraint?.complete ?? false;
    if (!complete && !this.#isFull(sequence)) return true;
    this.end(sequence, complete ? 'stop' : 'length');
    return false;
  }

  /** Gives a request its next token, and ends it when that was the last it may have. Throws what its constraint throws. */
  append(sequence: S, id: number, logprobs?: TokenLogprobs): void {
    sequence.constraint?.push(id);
    const complete = sequence.constraint?.complete ?? false;
    const index = sequence.generated++;
    sequence.known++;
    const full = this.#isFull(sequence);
    if (!full) sequence.blocks.push(id);
    sequence.sink.token(id, index, logprobs);
    if (sequence.state !== 'running') return;
    if (complete) this.end(sequence, 'stop');
    else if (full) this.end(sequence, 'length');
  }

  end(sequence: S, reason: FinishReason, error?: Error): void {
    if (sequence.state === 'waiting') {
      this.#forget(sequence);
      this.release(sequence);
    } else {
      this.#leave(sequence);
      if (!sequence.keepsBlocks) this.release(sequence);
    }
    sequence.state = 'done';
    sequence.constraint?.free();
    sequence.sink.end(reason, error);
  }

  /** Takes one that does not run from where it waits. */
  #forget(sequence: S): void {
    const at = this.#waiting.indexOf(sequence);
    if (at >= 0) this.#waiting.splice(at, 1);
    const fetching = this.#fetching.findIndex((each) => each.sequence === sequence);
    if (fetching < 0) return;
    this.#fetching.splice(fetching, 1);
    this.#host?.left(sequence);
  }

  #isFull(sequence: S): boolean {
    return (
      sequence.generated >= sequence.request.maxTokens || sequence.known >= this.#shape.contextLengthTokens
    );
  }

  /** Running requests in order; false when one had to give its blocks back. */
  #continueRunning(): boolean {
    let enough = true;
    for (let i = 0; i < this.#running.length && this.#budget > 0; i++) {
      const sequence = this.#running[i]!;
      const tokens = Math.min(sequence.known - sequence.computed, this.#budget);
      if (!this.#cover(sequence, sequence.computed + tokens)) {
        enough = false;
        this.#preemptFor(sequence, sequence.computed + tokens);
        if (sequence.state !== 'running') break;
      }
      this.#schedule(sequence, tokens);
    }
    return enough;
  }

  #admitWaiting(): void {
    while (this.#waiting.length > 0) {
      this.#headBlocked = this.#runningCount >= this.#shape.maxNumSeqs;
      if (this.#headBlocked) return;
      const at = this.#nextWaiting();
      const sequence = this.#waiting[at];
      if (sequence === undefined) return;
      // What has come with all its blocks needs neither tokens nor room.
      if (sequence.heldBlocks === 0 && !this.#hasRoom(sequence)) return;
      if (at === 0) this.#waiting.shift();
      else this.#waiting.splice(at, 1);
      this.#admit(sequence);
    }
  }

  /** The same with a host tier: who has to wait for a copy holds nobody up. */
  #admitFetching(host: HostLoads<S>): void {
    while (this.#runningCount < this.#shape.maxNumSeqs && this.#budget > 0) {
      const awake = this.#fetching.find((each) => each.awake);
      const sequence = awake?.sequence ?? this.#waiting[0];
      if (sequence === undefined) return;
      const fetched = sequence.heldBlocks;
      if (fetched === 0) {
        if (!this.#hooks.canAdmit()) return;
        const device = this.#cache.match(sequence.blocks.sequenceHashes, this.#mostFull(sequence)).blocks;
        const blocks = host.lookup(sequence, device);
        if (blocks !== 0) {
          const loading = blocks !== 'later';
          if (loading && !this.#fetch(host, sequence, { device, blocks })) return;
          if (awake) Object.assign(awake, { awake: false, loading });
          else this.#fetching.push({ sequence: this.#waiting.shift()!, awake: false, loading });
          continue;
        }
        if (!this.#hasRoom(sequence)) return;
      } else if (
        Math.ceil(sequence.known / this.#shape.blockSizeTokens) - fetched >
        this.#cache.availableBlocks
      ) {
        return;
      }
      if (awake) this.#fetching.splice(this.#fetching.indexOf(awake), 1);
      else this.#waiting.shift();
      this.#admit(sequence);
      host.admitted(sequence, fetched);
    }
  }

  /** Holds what the device has and slots for what comes; false when there is no room for all of the request. */
  #fetch(host: HostLoads<S>, sequence: S, { device, blocks }: { device: number; blocks: number }): boolean {
    const { inactive } = this.#cache.match(sequence.blocks.sequenceHashes, device);
    const needed = Math.ceil(sequence.known / this.#shape.blockSizeTokens) - device + inactive;
    if (needed > this.#cache.availableBlocks - this.#promisedBlocks()) return false;
    this.#cache.acquire(sequence.blocks, device);
    sequence.heldBlocks = device;
    sequence.storedBlocks = device;
    for (let i = 0; i < blocks; i++) sequence.blocks.setSlot(sequence.heldBlocks++, this.#cache.allocate());
    host.load(sequence, device, device + blocks);
    return true;
  }

  /** Blocks that running prefills and requests under way will still need. */
  #promisedBlocks(): number {
    const { blockSizeTokens } = this.#shape;
    const rest = ({ known, heldBlocks }: S) => Math.ceil(known / blockSizeTokens) - heldBlocks;
    let blocks = 0;
    for (const each of this.#running) {
      if (each.state === 'running' && each.computed < each.request.tokenIds.length) blocks += rest(each);
    }
    for (const { sequence } of this.#fetching) if (sequence.heldBlocks > 0) blocks += rest(sequence);
    return blocks;
  }

  #mostFull({ known }: S): number {
    return this.#shape.prefixCaching ? Math.floor(known / this.#shape.blockSizeTokens) : 0;
  }

  /** The first that waits; while promised blocks are not there, the first that has its own. */
  #nextWaiting(): number {
    return this.freshMustWait ? this.#waiting.findIndex(({ heldBlocks }) => heldBlocks > 0) : 0;
  }

  #hasRoom({ known, blocks }: S): boolean {
    if (this.#budget === 0) return false;
    const { blockSizeTokens, watermark, totalBlocks } = this.#shape;
    const match = this.#cache.match(blocks.sequenceHashes, this.#mostCached(known));
    const needed = Math.ceil(known / blockSizeTokens) - match.blocks + match.inactive;
    const reserve = this.#runningCount > 0 ? watermark * totalBlocks : 0;
    this.#headBlocked = needed > this.#cache.availableBlocks - reserve;
    return !this.#headBlocked && this.#hooks.canAdmit();
  }

  /** At least the last token is computed. */
  #mostCached(known: number): number {
    return this.#shape.prefixCaching ? Math.floor((known - 1) / this.#shape.blockSizeTokens) : 0;
  }

  #admit(sequence: S): void {
    if (sequence.heldBlocks === 0) this.#takeCached(sequence);
    sequence.state = 'running';
    sequence.prefilling = true;
    this.#running.push(sequence);
    this.#runningCount++;
    this.#hooks.admitted(sequence, sequence.heldBlocks);
    const tokens = Math.min(sequence.known - sequence.computed, this.#budget);
    this.#cover(sequence, sequence.computed + tokens);
    this.#schedule(sequence, tokens);
  }

  /** Looks again: `canAdmit` may have dropped blocks. */
  #takeCached(sequence: S): void {
    const { blocks } = this.#cache.match(sequence.blocks.sequenceHashes, this.#mostCached(sequence.known));
    this.#cache.acquire(sequence.blocks, blocks);
    sequence.heldBlocks = sequence.storedBlocks = blocks;
    sequence.computed = blocks * this.#shape.blockSizeTokens;
    sequence.cachedTokens ??= Math.min(sequence.computed, sequence.request.promptTokens);
  }

  /** Holds blocks for the first `tokens` tokens; false when the cache has none left. */
  #cover(sequence: S, tokens: number): boolean {
    while (sequence.heldBlocks * this.#shape.blockSizeTokens < tokens) {
      const slot = this.#cache.allocate();
      if (slot < 0) return false;
      this.#host?.taken(slot);
      sequence.blocks.setSlot(sequence.heldBlocks++, slot);
    }
    return true;
  }

  #schedule(sequence: S, tokens: number): void {
    sequence.computed += tokens;
    this.#budget -= tokens;
    this.batch.push(sequence);
    this.#hooks.scheduled(sequence, tokens);
  }

  /** Takes blocks from the newest running requests until this one has what it needs, itself included. */
  #preemptFor(sequence: S, tokens: number): void {
    do {
      const victim = this.#running.pop()!;
      this.#leave(victim);
      this.release(victim);
      victim.computed = 0;
      victim.state = 'waiting';
      this.#waiting.unshift(victim);
    } while (sequence.state === 'running' && !this.#cover(sequence, tokens));
  }

  #leave(sequence: S): void {
    this.#runningCount--;
    this.#hasEnded = true;
    this.#headBlocked = false;
    this.#hooks.leaving(sequence);
  }
}
