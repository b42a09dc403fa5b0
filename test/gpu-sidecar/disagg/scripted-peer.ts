/** A prefill worker and a transfer that do what the test says, and a host memory that knows who holds what. */
import { Metrics } from '../../../durable/runtime/metrics.ts';
import { remotePrefillMetrics } from '../../../gpu-sidecar/disagg/disagg-metrics.ts';
import type { LocalBlocks, PeerPuller, Pulled, PullOrder } from '../../../gpu-sidecar/disagg/peer-puller.ts';
import type {
  PrefillDispatcher,
  PrefillHost,
  PrefillJob,
} from '../../../gpu-sidecar/disagg/prefill-dispatcher.ts';
import { RemotePrefill } from '../../../gpu-sidecar/disagg/remote-prefill.ts';
import { wasmBlockHasher } from '../../../gpu-sidecar/engines/wasm-hasher.ts';
import type { Timers } from '../../../gpu-sidecar/timers.ts';

export const PEER: PrefillHost = { instanceId: '00000000000000bb', address: '127.0.0.1:7' };
export const BLOCK_BYTES = 64;

export class ScriptedHostMemory implements LocalBlocks {
  readonly blocks = new Set<bigint>();
  held = 0;

  hold(hash: bigint): Disposable | null {
    if (!this.blocks.has(hash)) return null;
    this.held++;
    return { [Symbol.dispose]: () => void this.held-- };
  }

  isHere(hash: bigint): boolean {
    return this.blocks.has(hash);
  }
}

/** One dispatched prompt; the test settles it. */
export class ScriptedPrompt {
  readonly job: PrefillJob;
  readonly signal: AbortSignal;
  readonly accept: () => void;
  readonly #settled = Promise.withResolvers<{ cachedTokens: number }>();

  constructor(job: PrefillJob, hooks: { signal: AbortSignal; accepted(host: PrefillHost): void }) {
    this.job = job;
    this.signal = hooks.signal;
    this.accept = () => hooks.accepted(PEER);
    hooks.signal.addEventListener('abort', () => this.fail(hooks.signal.reason));
  }

  get answer(): Promise<{ cachedTokens: number }> {
    return this.#settled.promise;
  }

  computed(cachedTokens = 0): void {
    this.#settled.resolve({ cachedTokens });
  }

  fail(error: unknown): void {
    this.#settled.reject(error);
  }
}

/** One pull; the test brings its blocks. */
export class ScriptedPull {
  readonly order: PullOrder;
  readonly #memory: ScriptedHostMemory;
  readonly #ended = Promise.withResolvers<Pulled>();
  #blocks = 0;

  constructor(order: PullOrder, memory: ScriptedHostMemory) {
    this.order = order;
    this.#memory = memory;
    order.signal.addEventListener('abort', () => this.stop('aborted'));
  }

  get answer(): Promise<Pulled> {
    return this.#ended.promise;
  }

  /** The next blocks come. */
  bring(count: number): void {
    const { blocks, onProgress } = this.order;
    for (const { hash } of blocks.slice(this.#blocks, this.#blocks + count)) {
      this.#memory.blocks.add(hash);
      onProgress(++this.#blocks);
    }
    if (this.#blocks === blocks.length) this.stop(null);
  }

  stop(fault: string | null): void {
    this.#ended.resolve({ blocks: this.#blocks, bytes: this.#blocks * BLOCK_BYTES, fault });
  }
}

export class ScriptedPeer implements PrefillDispatcher, PeerPuller {
  readonly name = 'scripted';
  readonly memory = new ScriptedHostMemory();
  readonly metrics = new Metrics({ prefix: 'stator' });
  readonly prompts: ScriptedPrompt[] = [];
  readonly pulls: ScriptedPull[] = [];
  readonly remotePrefill: RemotePrefill;

  constructor(timers: Timers, stallMs = 1_000) {
    this.remotePrefill = new RemotePrefill({
      dispatcher: this,
      puller: this,
      memory: this.memory,
      hasher: wasmBlockHasher,
      blockSizeTokens: 4,
      timers,
      stallMs,
      metrics: remotePrefillMetrics(this.metrics),
    });
  }

  get prompt(): ScriptedPrompt {
    return this.prompts.at(-1)!;
  }

  get pulling(): ScriptedPull {
    return this.pulls.at(-1)!;
  }

  dispatch(job: PrefillJob, hooks: { signal: AbortSignal; accepted(host: PrefillHost): void }) {
    const prompt = new ScriptedPrompt(job, hooks);
    this.prompts.push(prompt);
    return prompt.answer;
  }

  pull(order: PullOrder): Promise<Pulled> {
    const pull = new ScriptedPull(order, this.memory);
    this.pulls.push(pull);
    return pull.answer;
  }

  close(): void {}
}

/** Every promise that can settle now has. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
}
