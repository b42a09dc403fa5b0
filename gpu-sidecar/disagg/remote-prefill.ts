/**
 * A prompt computed by another worker (semantics §6): asks for it, brings the blocks into this worker's host memory as they come,
 * and says when the engine may begin. The engine then finds them like any block that it had once.
 *
 * Invariants: `run` never rejects and always ends, because a prefill without progress for `stallMs` is given up; whatever
 * goes wrong, the answer is "compute it here", and what has come by then is found all the same. When it ends the other
 * worker is not computing for us any more, unless it has done everything. Blocks stay in host memory until `Prefilled` is disposed.
 */

import { StatorError, toStatorError } from '../../durable/runtime/errors.ts';
import type { BlockHasher } from '../engines/token-blocks.ts';
import { DEFAULT_HASH_SEED } from '../engines/token-blocks.ts';
import type { BlockIdentity } from '../kvbm/block.ts';
import { blocksOf } from '../kvbm/block.ts';
import type { PrefillPeer } from '../proto/gen/stator/v1/worker_pb.js';
import type { Timers } from '../timers.ts';
import type { RemotePrefillMetrics } from './disagg-metrics.ts';
import type { LocalBlocks, PeerPuller, Pulled } from './peer-puller.ts';
import type { PrefillDispatcher, PrefillHost, PrefillJob } from './prefill-dispatcher.ts';

export interface RemotePrefillParts {
  dispatcher: PrefillDispatcher;
  puller: PeerPuller;
  /** Of this worker's KV memory, where the puller puts what comes. */
  memory: LocalBlocks;
  hasher: BlockHasher;
  blockSizeTokens: number;
  timers: Timers;
  /** Without progress for so long it is given up. */
  stallMs: number;
  metrics: RemotePrefillMetrics;
}

export interface PromptToCompute {
  requestId: string;
  peer: PrefillPeer;
  routerBoot: number;
  /** The prompt alone. */
  tokenIds: Uint32Array;
  /** Local hashes of its complete blocks, packed LE u64, or empty. */
  blockHashes: Uint8Array;
  hashSeed: bigint;
  priority: number;
  /** The prompt's last token is wanted here, for its logits; false where generated tokens follow it. */
  endsThere: boolean;
}

/** What became of it. */
export interface Prefilled extends Disposable {
  /** Who computed it; null: the engine has to. */
  by: PrefillHost | null;
  /** Why it has to, in few different words; null where it has not. `cached`: nothing was asked of anybody. */
  why: string | null;
  /** Leading blocks of the prompt that came over. */
  blocks: number;
  /** Prompt tokens that were cached before this request, by what the prefill worker said; null: nobody said. */
  cachedTokens: number | null;
}

export class RemotePrefill {
  readonly #parts: RemotePrefillParts;

  constructor(parts: RemotePrefillParts) {
    this.#parts = parts;
  }

  /** `gone`: nobody wants the answer any more; then the result means nothing. */
  async run(prompt: PromptToCompute, gone: AbortSignal): Promise<Prefilled> {
    const { metrics, memory } = this.#parts;
    const blocks = this.#blocksOf(prompt);
    if (blocks.every(({ hash }) => memory.isHere(hash))) {
      metrics.skipped();
      return result({ why: 'cached' });
    }
    const call = new Call(this.#parts, prompt, blocks, gone);
    metrics.running(1);
    const prefilled = await call.run();
    metrics.running(-1);
    metrics.ended(prefilled.why, { blocks: prefilled.blocks, bytes: call.bytes });
    return prefilled;
  }

  #blocksOf({ tokenIds, hashSeed, endsThere }: PromptToCompute): BlockIdentity[] {
    const { blockSizeTokens, hasher } = this.#parts;
    const count = Math.floor((tokenIds.length - (endsThere ? 1 : 0)) / blockSizeTokens);
    const seed = hashSeed === 0n ? DEFAULT_HASH_SEED : hashSeed;
    const hashes = hasher.hash(tokenIds.subarray(0, count * blockSizeTokens), { blockSizeTokens, seed });
    return blocksOf({ sequenceHashes: hashes.sequence, localHashes: hashes.local }, 0, count);
  }
}

/** One prompt on its way. */
class Call {
  readonly #parts: RemotePrefillParts;
  readonly #prompt: PromptToCompute;
  readonly #blocks: readonly BlockIdentity[];
  readonly #gone: AbortSignal;
  /** Ends both halves; its reason is why. */
  readonly #end = new AbortController();
  #stopStalling: () => void = () => {};
  #host: PrefillHost | null = null;
  #cachedTokens: number | null = null;
  bytes = 0;

  constructor(
    parts: RemotePrefillParts,
    prompt: PromptToCompute,
    blocks: readonly BlockIdentity[],
    gone: AbortSignal,
  ) {
    this.#parts = parts;
    this.#prompt = prompt;
    this.#blocks = blocks;
    this.#gone = gone;
  }

  async run(): Promise<Prefilled> {
    const gone = () => this.#end.abort(new StatorError('cancelled', 'the caller is gone'));
    if (this.#gone.aborted) gone();
    else this.#gone.addEventListener('abort', gone, { once: true });
    this.#moved();
    const accepted = Promise.withResolvers<PrefillHost>();
    try {
      const computed = this.#compute(accepted.resolve).catch(accepted.reject);
      // Who has not accepted it has no blocks.
      const pulled = await this.#pull(await accepted.promise);
      this.bytes = pulled.bytes;
      // All is here; what was cached over there is said at the same moment, or never.
      if (pulled.fault === null) await computed;
      return this.#finish(pulled.blocks, pulled.fault === null ? null : this.#reason(pulled.fault));
    } catch (thrown) {
      return this.#finish(0, toStatorError(thrown).code);
    } finally {
      this.#gone.removeEventListener('abort', gone);
      this.#stopStalling();
      // Whatever of the two is still under way.
      this.#end.abort(new StatorError('cancelled', 'the prefill is over'));
    }
  }

  async #compute(accepted: (host: PrefillHost) => void): Promise<void> {
    const { dispatcher } = this.#parts;
    try {
      const { cachedTokens } = await dispatcher.dispatch(this.#job(), {
        signal: this.#end.signal,
        accepted: (host) => {
          this.#host = host;
          this.#moved();
          accepted(host);
        },
      });
      this.#cachedTokens = cachedTokens;
      this.#moved();
    } catch (thrown) {
      // Nothing more will come: the pull need not wait for it.
      this.#end.abort(toStatorError(thrown));
      throw thrown;
    }
  }

  #pull({ address }: PrefillHost): Promise<Pulled> {
    const { signal } = this.#end;
    return this.#parts.puller.pull({
      address,
      blocks: this.#blocks,
      signal,
      onProgress: () => this.#moved(),
    });
  }

  #job(): PrefillJob {
    const { requestId, peer, routerBoot, tokenIds, blockHashes, hashSeed, priority } = this.#prompt;
    const count = this.#blocks.length;
    return {
      requestId,
      peer,
      routerBoot,
      tokenIds: tokenIds.slice(0, count * this.#parts.blockSizeTokens),
      blockHashes: blockHashes.subarray(0, 8 * count),
      hashSeed,
      priority,
    };
  }

  /** Something came: the time for the next thing begins. */
  #moved(): void {
    const { stallMs, timers } = this.#parts;
    this.#stopStalling();
    this.#stopStalling = timers.after(stallMs, () =>
      this.#end.abort(new StatorError('deadline_exceeded', `no progress for ${stallMs} ms`)),
    );
  }

  /** A pull that ends because of us says less than why we ended it. */
  #reason(fault: string): string {
    const { aborted, reason } = this.#end.signal;
    return aborted ? toStatorError(reason).code : fault;
  }

  /** Also with the other worker lost over its last word: then all is here, and it is a prefill like any other. */
  #finish(blocks: number, why: string | null): Prefilled {
    const { memory, metrics } = this.#parts;
    const held = this.#blocks.slice(0, blocks).flatMap(({ hash }) => memory.hold(hash) ?? []);
    metrics.held(held.length);
    const by = why === null ? this.#host : null;
    const release = () => {
      for (const hold of held) hold[Symbol.dispose]();
      metrics.held(-held.length);
    };
    return result({ by, why, blocks, cachedTokens: this.#cachedTokens, release });
  }
}

function result({
  by = null,
  why = null,
  blocks = 0,
  cachedTokens = null,
  release = () => {},
}: Partial<Prefilled> & { release?: () => void }): Prefilled {
  let letGo: (() => void) | null = release;
  return {
    by,
    why,
    blocks,
    cachedTokens,
    [Symbol.dispose]() {
      letGo?.();
      letGo = null;
    },
  };
}
