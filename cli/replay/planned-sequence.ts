/**
 * A request of a trace inside the simulated engine: its blocks are planned from the start, those of the prompt with their
 * real hashes, those of the answer with hashes that no other request has (its tokens are random, semantics §10).
 */

import { type EngineRequest, type EngineSink, GREEDY } from '../../gpu-sidecar/engines/engine.ts';
import { Sequence } from '../../gpu-sidecar/engines/sequence.ts';
import type { GrowingBlocks } from '../../gpu-sidecar/engines/token-blocks.ts';
import type { Prompt } from './prompts.ts';
import type { TraceRequest } from './trace.ts';

/** Hashes that occur once in a replay. */
export class FreshHashes {
  #next = 0;

  /** Writes one hash (two words) at block `index`. */
  write(hashes: Uint32Array, index: number): void {
    const number = this.#next++;
    // The low word is spread because caches look blocks up by it; the high word keeps clear of nothing but chance.
    hashes[2 * index] = Math.imul(number, 0x9e3779b1);
    hashes[2 * index + 1] = ~number;
  }
}

class PlannedBlocks implements GrowingBlocks {
  readonly slots: Int32Array;
  readonly sequenceHashes: Uint32Array;
  readonly localHashes: Uint32Array;

  constructor(prompt: Prompt, blocks: number, fresh: FreshHashes) {
    this.slots = new Int32Array(blocks);
    this.sequenceHashes = new Uint32Array(2 * blocks);
    this.localHashes = new Uint32Array(2 * blocks);
    this.sequenceHashes.set(prompt.sequenceHashes);
    this.localHashes.set(prompt.localHashes);
    for (let i = prompt.localHashes.length / 2; i < blocks; i++) {
      fresh.write(this.sequenceHashes, i);
      fresh.write(this.localHashes, i);
    }
  }

  push(): void {}

  setSlot(index: number, slot: number): void {
    this.slots[index] = slot;
  }
}

export class PlannedSequence extends Sequence {
  /** When it got its latest token; −1 before the first. */
  lastTokenMs = -1;

  constructor(request: EngineRequest, sink: EngineSink, blocks: GrowingBlocks) {
    super(request, sink, blocks);
  }
}

export interface PlanParts {
  prompt: Prompt;
  blockSizeTokens: number;
  fresh: FreshHashes;
  /** Less than the trace has, where a worker makes only the first token. */
  maxTokens: number;
  sink: EngineSink;
}

export function planSequence(request: TraceRequest, parts: PlanParts): PlannedSequence {
  const { prompt, blockSizeTokens, fresh, maxTokens, sink } = parts;
  const blocks = Math.ceil((request.inputTokens + maxTokens) / blockSizeTokens);
  return new PlannedSequence(
    engineRequest(request.inputTokens, maxTokens),
    sink,
    new PlannedBlocks(prompt, blocks, fresh),
  );
}

/** Only the number of tokens counts; all prompts are views of one array. */
let noTokens = new Uint32Array(65_536);

function engineRequest(promptTokens: number, maxTokens: number): EngineRequest {
  if (noTokens.length < promptTokens) noTokens = new Uint32Array(2 * promptTokens);
  return {
    requestId: '',
    tokenIds: noTokens.subarray(0, promptTokens),
    promptTokens,
    blockHashes: NO_HASHES,
    hashSeed: 0n,
    sampling: GREEDY,
    maxTokens,
    minTokens: 0,
    stopTokenIds: [],
    ignoreEos: true,
    priority: 0,
  };
}

const NO_HASHES = new Uint8Array(0);
