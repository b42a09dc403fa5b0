/**
 * The llama engine: one loop that plans a batch, lets llama.cpp compute it on the libuv pool, and gives every request
 * its token. The event loop never waits for a decode.
 *
 * Everything on the context happens in that loop, one thing after the other: cache operations queued by aborts,
 * evictions and admissions are done right before the next batch. A batch's tokens are bounded by `SLICE_MS` of
 * measured compute, so those get their turn, and so does KV memory (`kv-turns.ts`). A failed batch ends its requests with
 * an error; the engine goes on.
 */

import { StatorError, toStatorError } from '../../../durable/runtime/errors.ts';
import { LIMITS } from '../../../durable/runtime/limits.ts';
import { type EnginePass, PassSample } from '../../../durable/runtime/pass-sample.ts';
import type { KvBlockManager } from '../../kvbm/manager.ts';
import { BatchScheduler, type SchedulerShape } from '../batch-scheduler.ts';
import { BlockCache, type BlockPath } from '../block-cache.ts';
import type { GrammarCompiler } from '../constraint/constraint.ts';
import type { Engine, EngineInfo, EngineLoad, EngineRequest, EngineSink, KvEventSink } from '../engine.ts';
import { KvEventLog } from '../kv-event-log.ts';
import type { BlockHasher } from '../token-blocks.ts';
import { BatchBudget } from './batch-budget.ts';
import { BlockLoads } from './block-loads.ts';
import { CellMap } from './cell-map.ts';
import { type LlamaContext, SCRATCH } from './context.ts';
import type { LlamaEmbedder } from './embedder.ts';
import type { ExportQueue } from './export-queue.ts';
import { guardedTokens } from './guarded-tokens.ts';
import { KvTurns } from './kv-turns.ts';
import { logprobSpread } from './logprobs.ts';
import type { LlamaModel } from './model.ts';
import { sampleToken } from './sampler.ts';
import { LlamaSequence } from './sequence.ts';

/** A pause of the loop while blocks are on their way. */
const PAUSE_MS = 2;

export interface LlamaEngineParts {
  info: EngineInfo;
  model: LlamaModel;
  context: LlamaContext;
  shape: SchedulerShape;
  /** Sequence ids that the context has. */
  sequences: number;
  hasher: BlockHasher;
  controlTokens: readonly string[];
  grammars: GrammarCompiler;
  /** null: the model makes no vectors. */
  embedder: LlamaEmbedder | null;
  /** null: blocks are nowhere but in the cache. */
  kv: { manager: KvBlockManager; exports: ExportQueue } | null;
}

export class LlamaEngine implements Engine {
  readonly info: EngineInfo;
  readonly vocabulary: LlamaModel;
  readonly grammars: GrammarCompiler;
  readonly embedder?: LlamaEmbedder;
  readonly kvMemory?: KvBlockManager;
  readonly passes = new PassSample(LIMITS.passesPerReport);
  /** The batch that is computed. */
  readonly #pass: EnginePass = { prefillTokens: 0, decodeKvTokens: 0, queuedTokens: 0, wallMs: 0 };
  #parts: LlamaEngineParts;
  #cells: CellMap;
  #cache: BlockCache;
  #events = new KvEventLog();
  #scheduler: BatchScheduler<LlamaSequence>;
  #budget: BatchBudget;
  #kv: KvTurns | null = null;
  /** The loop while it runs; null when there is nothing to do. */
  #loop: Promise<void> | null = null;
  #stopped: Promise<void> | null = null;
  /** Ends a pause of the loop. */
  #resume: (() => void) | null = null;
  /** Of the batch before; 0: there was none. */
  #batchMs = 0;

  constructor(parts: LlamaEngineParts) {
    const { info, shape } = parts;
    this.#parts = parts;
    this.info = info;
    this.vocabulary = parts.model;
    this.grammars = parts.grammars;
    if (parts.embedder !== null) this.embedder = parts.embedder;
    this.#cells = new CellMap({ ...shape, sequences: parts.sequences, firstId: parts.kv ? SCRATCH + 1 : 0 });
    const observer = {
      stored: (path: BlockPath, from: number, to: number) => {
        this.#events.stored(path, from, to);
        this.#kv?.stored(path, from, to);
      },
      removed: (low: number, high: number, slot: number) => {
        this.#events.removed(low, high);
        this.#cells.evicted(slot);
        this.#kv?.removed(slot);
      },
    };
    this.#cache = new BlockCache({ capacityBlocks: shape.totalBlocks, observer });
    const loads = parts.kv && this.#makeLoads(parts.kv.manager);
    this.#scheduler = new BatchScheduler({ shape, cache: this.#cache, hooks: this, host: loads });
    if (parts.kv && loads) {
      const { manager, exports } = parts.kv;
      this.kvMemory = manager;
      exports.onOffered = () => this.#wake();
      const { context } = parts;
      this.#kv = new KvTurns({
        ...shape,
        manager,
        exports,
        loads,
        context,
        cells: this.#cells,
        cache: this.#cache,
      });
    }
    this.#budget = new BatchBudget({ most: info.maxNumBatchedTokens });
  }

  submit(request: EngineRequest, sink: EngineSink): { abort(): void } {
    if (this.#stopped) throw new StatorError('worker_draining', 'the engine has stopped');
    this.#scheduler.check(request);
    const shape = { blockSizeTokens: this.info.blockSizeTokens, hasher: this.#parts.hasher };
    const sequence = new LlamaSequence(request, sink, shape);
    this.#scheduler.enqueue(sequence);
    this.#wake();
    return {
      abort: () => {
        this.#scheduler.abort(sequence);
        this.#wakeUp();
      },
    };
  }

  tokenize(text: string, options: { parseSpecial: boolean; guard: string }): Uint32Array {
    const { model, controlTokens } = this.#parts;
    return guardedTokens(text, { ...options, model, controlTokens });
  }

  onKvEvents(sink: KvEventSink): void {
    this.#events.listen(sink);
  }

  load(): EngineLoad {
    const load = this.#scheduler.load();
    return this.kvMemory ? { ...load, tiers: this.kvMemory.status() } : load;
  }

  clearKvBlocks(): number {
    const before = this.kvMemory?.blocks;
    const count = this.#clearCache();
    if (before === undefined) return count;
    this.kvMemory!.clear();
    this.#wakeUp();
    // Blocks that are being copied at the moment stay in a lower tier.
    return Math.max(count, before - this.kvMemory!.blocks);
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#shutDown();
    return this.#stopped;
  }

  canAdmit(): boolean {
    while (this.#cells.freeIds === 0) if (!this.#cache.evictOldest()) return false;
    return true;
  }

  admitted(sequence: LlamaSequence, cachedBlocks: number): void {
    // What was loaded is there already.
    if (sequence.id < 0) sequence.id = this.#cells.enter(sequence.blocks.slots, cachedBlocks);
  }

  scheduled(sequence: LlamaSequence, tokens: number): void {
    sequence.scheduled = tokens;
  }

  leaving(sequence: LlamaSequence): void {
    this.#cells.leave(sequence.id);
    sequence.id = -1;
    sequence.lookUp = 'new';
  }

  async #shutDown(): Promise<void> {
    this.#scheduler.abortAll();
    this.#parts.kv?.exports.close();
    this.#wakeUp();
    await this.#loop;
    await this.embedder?.stop();
    await this.kvMemory?.[Symbol.asyncDispose]();
    this.#clearCache();
    this.#parts.context.free();
    this.#parts.model.free();
  }

  /** Drops what nobody holds from the engine's own cache; what other tiers have stays told of. */
  #clearCache(): number {
    const everything = this.#cache.activeBlocks === 0 && this.#kv === null;
    const count = this.#cache.clear();
    if (everything && count > 0) this.#events.cleared();
    this.#events.flush();
    return count;
  }

  #makeLoads(manager: KvBlockManager): BlockLoads {
    const { context, shape } = this.#parts;
    return new BlockLoads({
      manager,
      context,
      cells: this.#cells,
      cache: this.#cache,
      blockSizeTokens: shape.blockSizeTokens,
      fetched: (sequence, heldBlocks) => this.#scheduler.fetched(sequence, heldBlocks),
      wake: () => {
        this.#scheduler.wake();
        this.#wakeUp();
      },
      arrived: () => this.#wakeUp(),
    });
  }

  /** There is something to do. */
  #wake(): void {
    this.#loop ??= this.#run();
    this.#wakeUp();
  }

  /** Ends the pause of a loop that has nothing to compute. */
  #wakeUp(): void {
    this.#resume?.();
    this.#resume = null;
  }

  /** Nothing can be computed: until blocks come, a request comes or goes, or a moment has passed. */
  #pause(): Promise<unknown> {
    if (this.#kv === null || this.#kv.busy || this.#scheduler.idle) return new Promise(setImmediate);
    return new Promise<void>((resolve) => {
      this.#resume = resolve;
      setTimeout(resolve, PAUSE_MS);
    });
  }

  async #run(): Promise<void> {
    const { batch } = this.#scheduler;
    await new Promise(setImmediate);
    while (!this.#scheduler.idle || this.#kv?.busy) {
      try {
        if (this.#kv?.busy) this.#turnForKv();
        this.#batchMs = 0;
        this.#scheduler.plan(this.#budget.tokens(this.#scheduler.load().running));
        await (batch.length > 0 ? this.#compute(batch) : this.#pause());
      } catch (thrown) {
        const error = toStatorError(thrown);
        for (const sequence of batch) {
          if (sequence.state === 'running') this.#scheduler.end(sequence, 'error', error);
        }
      }
    }
    this.#loop = null;
  }

  #turnForKv(): void {
    this.#kv!.turn(this.#batchMs);
    this.#events.flush();
  }

  async #compute(batch: readonly LlamaSequence[]): Promise<void> {
    const { context } = this.#parts;
    context.apply(this.#cells.operations);
    const tokens = this.#fill(batch);
    this.#describe(batch);
    const startedMs = performance.now();
    const logits = await context.decode();
    this.#batchMs = performance.now() - startedMs;
    this.#budget.measured(tokens, this.#batchMs);
    this.#pass.wallMs = this.#batchMs;
    this.passes.add(this.#pass);
    for (const sequence of batch) if (sequence.state === 'running') this.#store(sequence);
    this.#events.flush();
    for (const sequence of batch) {
      if (sequence.state === 'running' && sequence.row >= 0) this.#answerOrEnd(sequence, logits);
    }
  }

  /** Before it is computed: then its requests may leave. */
  #describe(batch: readonly LlamaSequence[]): void {
    const pass = this.#pass;
    pass.prefillTokens = pass.decodeKvTokens = 0;
    for (const { prefilling, scheduled, known } of batch) {
      if (prefilling) pass.prefillTokens += scheduled;
      else pass.decodeKvTokens += known;
    }
    pass.queuedTokens = this.#scheduler.queuedTokens;
  }

  /** Puts the batch's tokens into the context; returns how many. */
  #fill(batch: readonly LlamaSequence[]): number {
    let tokens = 0;
    for (const sequence of batch) {
      const { computed, id } = sequence;
      sequence.row = -1;
      for (let position = computed - sequence.scheduled; position < computed; position++) {
        const wanted = position === sequence.known - 1;
        const place = { position, sequence: id, wanted };
        const row = this.#parts.context.add(sequence.tokenAt(position), place);
        if (wanted) sequence.row = row;
      }
      tokens += sequence.scheduled;
    }
    return tokens;
  }

  /** Registers the blocks that the batch completed. */
  #store(sequence: LlamaSequence): void {
    if (!this.#parts.shape.prefixCaching) return;
    const { blocks } = sequence;
    const complete = Math.floor(sequence.computed / this.info.blockSizeTokens);
    const from = sequence.storedBlocks;
    if (complete === from) return;
    const own = blocks.slots.slice(from, complete);
    this.#cache.store(blocks, from, complete);
    sequence.storedBlocks = complete;
    for (let index = from; index < complete; index++) {
      const slot = blocks.slots[index]!;
      this.#cells.stored(sequence.id, { index, slot, shared: slot !== own[index - from] });
    }
  }

  /** A constraint that fails ends one answer, not the batch. */
  #answerOrEnd(sequence: LlamaSequence, logits: Float32Array): void {
    try {
      this.#answer(sequence, logits);
    } catch (thrown) {
      if (sequence.state === 'running') this.#scheduler.end(sequence, 'error', toStatorError(thrown));
    }
  }

  #answer(sequence: LlamaSequence, logits: Float32Array): void {
    if (!this.#scheduler.begin(sequence)) return;
    const { model } = this.#parts;
    const { sampling } = sequence.request;
    const row = logits.subarray(sequence.row * model.size, (sequence.row + 1) * model.size);
    // Before the sampler changes the row.
    const spread = sampling.topLogprobs === null ? null : logprobSpread(row, sampling.topLogprobs);
    const id = sampleToken({
      logits: row,
      sampling,
      counts: sequence.counts,
      forbidden: sequence.forbidden(model.endIds),
      allowed: sequence.constraint?.allowed() ?? null,
      index: sequence.generated,
    });
    if (id < 0 || sequence.endsWith(id, model)) this.#scheduler.end(sequence, 'stop');
    else {
      sequence.push(id);
      this.#scheduler.append(sequence, id, spread?.of(id));
    }
  }
}
