/**
 * One way to move blocks from one process to another. The source pushes: the reader offers a window of its host memory, and only
 * blocks that were granted are written into slots that the reader named (docs/decisions/0016).
 *
 *   source  announce()                      → opaque bytes that any reader may ask for (KvTransfer.Metadata)
 *   reader  offer(announced)                → a Window, or null where this way does not lead there
 *   source  open(window.description, grant) → a Pusher
 *   reader  window.begin(capability)          expect(index, into) before a block is asked for
 *   source  push(blocks)                    → their bytes are in the window, or on their way there
 *   reader  await window.arrived(index)       after the source has said that it pushed
 *
 * Whoever implements this knows slots and trusts nobody: descriptions come from outside. Every failure is a TransferFault.
 */

import type { ReceivingBlock, ServedBlock } from './blocks.ts';

/** In the order of preference. */
export const BACKEND_NAMES = ['cuda-ipc', 'shm', 'nixl', 'tcp'] as const;
export type BackendName = (typeof BACKEND_NAMES)[number];

/** Unguessable; stands for a grant wherever the reader shows up. */
export const CAPABILITY_BYTES = 16;

export interface TransferBackend extends AsyncDisposable {
  readonly name: BackendName;
  announce(): Uint8Array;
  offer(announced: Uint8Array): Promise<Window | null>;
  open(description: Uint8Array, grant: PushGrant): Promise<Pusher>;
}

/** What a source lets one reader have. */
export interface PushGrant {
  readonly capability: Uint8Array;
  /** Aborts when the grant has ended. */
  readonly signal: AbortSignal;
}

export interface Window {
  /** For the source. */
  readonly description: Uint8Array;
  /** The source has granted. Throws when it cannot be reached this way. */
  begin(capability: Uint8Array, signal: AbortSignal): Promise<void>;
  expect(index: number, into: Pick<ReceivingBlock, 'bytes' | 'slot'>): void;
  /** When the block's bytes are all in its slot; rejects when they never will be. */
  arrived(index: number): Promise<void>;
  /**
   * Resolves when nothing can write into the slots any more: before that none may be given back. `stopped`
   * aborts when the source has said that it writes no more, which may be long ago, later, or never.
   */
  close(stopped: AbortSignal): Promise<void>;
}

export interface OutgoingBlock {
  readonly index: number;
  readonly served: ServedBlock;
  /** The reader's slot. */
  readonly slot: number;
}

export interface Pusher {
  /** Resolves when the blocks may be let go of. One call at a time. */
  push(blocks: readonly OutgoingBlock[]): Promise<void>;
  /** Resolves when nothing is written any more. */
  close(): Promise<void>;
}
