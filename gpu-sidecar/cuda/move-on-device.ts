/**
 * Blocks out of and into a paged KV cache on a GPU, by two kernels of our own (`kernels/blocks.cu`), many blocks a launch. A block
 * may lie in device memory (its own, or a peer process's) or in pinned host memory that the device can address.
 *
 * The tables of one launch (which cells, which blocks) go to device memory in the same stream. There is one of them, so a mover
 * makes one move at a time; who wants two has two movers. Cells are checked before anything is launched.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { CudaContext } from './context.ts';
import { compiledKernel } from './kernel-cache.ts';
import { KernelParameters } from './kernel-parameters.ts';
import { DeviceMemory, PinnedMemory } from './memory.ts';
import type { KernelSource, Nvrtc } from './nvrtc.ts';
import { type CacheLayout, gatheredBytes, pieceBytes, requireCells } from './planes.ts';
import type { CudaStream } from './stream.ts';

const THREADS = 256;
/** Thread blocks that share one plane of one block; a plane of 16 tokens rarely fills more. */
const MOST_SHARES = 16;
const PLANE_BYTES = 40;
const ENTRIES = { gather: 'stator_gather_blocks', scatter: 'stator_scatter_blocks' } as const;

/** Our kernels as text. */
export const blockKernels = (): KernelSource => ({
  name: 'blocks.cu',
  text: readFileSync(join(import.meta.dirname, 'kernels', 'blocks.cu'), 'utf8'),
});

export interface MovedBlock {
  /** The cell of each token. */
  readonly cells: Uint32Array;
  /** Device address of the block that lies together. */
  readonly address: bigint;
}

export class DeviceBlockMover implements Disposable {
  readonly blockBytes: number;
  readonly #context: CudaContext;
  readonly #layout: CacheLayout;
  readonly #maxBlocks: number;
  readonly #tableBytes: number;
  readonly #owned: DisposableStack;
  readonly #functions: Record<keyof typeof ENTRIES, bigint>;
  readonly #planes: DeviceMemory;
  readonly #tables: DeviceMemory;
  readonly #staged: PinnedMemory;
  #moving = false;

  /** Compiles the kernels, or takes them from `folder`. Throws `engine_error`. */
  constructor(
    context: CudaContext,
    nvrtc: Pick<Nvrtc, 'version' | 'compile'>,
    options: { layout: CacheLayout; maxBlocks: number; folder: string },
  ) {
    const { layout, maxBlocks, folder } = options;
    const { architecture } = context.device;
    const code = compiledKernel(nvrtc, blockKernels(), { architecture, folder });
    this.blockBytes = gatheredBytes(layout);
    this.#context = context;
    this.#layout = layout;
    this.#maxBlocks = maxBlocks;
    this.#tableBytes = maxBlocks * (8 + 4 * layout.blockSizeTokens);
    using owned = new DisposableStack();
    const module = context.make('module', 'cuModuleLoadData', code);
    owned.defer(() => context.unmake('module', 'cuModuleUnload', module));
    this.#functions = {
      gather: entry(context, module, 'gather'),
      scatter: entry(context, module, 'scatter'),
    };
    this.#planes = owned.use(new DeviceMemory(context, layout.planes.length * PLANE_BYTES));
    this.#tables = owned.use(new DeviceMemory(context, this.#tableBytes));
    this.#staged = owned.use(new PinnedMemory(context, this.#tableBytes));
    this.#planes.write(planeTable(layout));
    this.#owned = owned.move();
  }

  /** Cells → blocks. Resolves when the bytes are there; one move at a time. */
  gather(stream: CudaStream, blocks: readonly MovedBlock[]): Promise<void> {
    return this.#move('gather', stream, blocks);
  }

  /** Blocks → cells. */
  scatter(stream: CudaStream, blocks: readonly MovedBlock[]): Promise<void> {
    return this.#move('scatter', stream, blocks);
  }

  [Symbol.dispose](): void {
    this.#owned.dispose();
  }

  async #move(
    direction: keyof typeof ENTRIES,
    stream: CudaStream,
    blocks: readonly MovedBlock[],
  ): Promise<void> {
    if (blocks.length === 0) return;
    if (this.#moving) throw new StatorError('internal', 'a mover of blocks is asked for two moves at once');
    if (blocks.length > this.#maxBlocks) {
      throw new StatorError('internal', `${blocks.length} blocks in one launch, at most ${this.#maxBlocks}`);
    }
    for (const { cells } of blocks) requireCells(this.#layout, cells);
    this.#moving = true;
    try {
      this.#launch(direction, stream, blocks);
      await stream.done();
    } finally {
      this.#moving = false;
    }
  }

  #launch(direction: keyof typeof ENTRIES, stream: CudaStream, blocks: readonly MovedBlock[]): void {
    const { blockSizeTokens, heads, planes } = this.#layout;
    const addresses = blocks.map(({ address }) => address);
    const piece = pieceBytes(this.#layout, addresses);
    const view = new DataView(this.#staged.bytes.buffer, this.#staged.bytes.byteOffset);
    const cellsAt = 8 * blocks.length;
    blocks.forEach(({ cells, address }, i) => {
      view.setBigUint64(8 * i, address, true);
      cells.forEach((cell, token) => {
        view.setUint32(cellsAt + 4 * (i * blockSizeTokens + token), cell, true);
      });
    });
    const used = cellsAt + 4 * blockSizeTokens * blocks.length;
    stream.toDevice({ memory: this.#tables }, { memory: this.#staged }, used);
    const largest = Math.max(...planes.map(({ vectorBytes }) => vectorBytes));
    const pieces = (blockSizeTokens * heads * largest) / piece;
    const shares = Math.min(MOST_SHARES, Math.ceil(pieces / THREADS));
    const parameters = new KernelParameters([
      [8, this.#planes.addressOf(0, PLANE_BYTES)],
      [8, this.#tables.addressOf(cellsAt, 4)],
      [8, this.#tables.addressOf(0, 8)],
      [4, BigInt(blockSizeTokens)],
      [4, BigInt(heads)],
      [4, BigInt(piece)],
    ]);
    const grid = [shares, planes.length, blocks.length];
    const work = [...grid, THREADS, 1, 1, 0, stream.handle, parameters.pointers, null];
    this.#context.call('cuLaunchKernel', this.#functions[direction], ...work);
  }
}

function entry(context: CudaContext, module: bigint, direction: keyof typeof ENTRIES): bigint {
  const out = new BigUint64Array(1);
  context.call('cuModuleGetFunction', out, module, ENTRIES[direction]);
  return out[0]!;
}

function planeTable({ planes, heads, blockSizeTokens }: CacheLayout): Uint8Array {
  const words = new BigUint64Array((planes.length * PLANE_BYTES) / 8);
  let inBlock = 0;
  planes.forEach(({ base, tokenStride, headStride, vectorBytes }, i) => {
    words.set([base, BigInt(tokenStride), BigInt(headStride), BigInt(vectorBytes), BigInt(inBlock)], 5 * i);
    inBlock += blockSizeTokens * heads * vectorBytes;
  });
  return new Uint8Array(words.buffer);
}
