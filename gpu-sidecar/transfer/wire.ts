/** Layouts and blocks as the messages of KvTransfer have them, and back; what comes from outside is checked here. */

import { create } from '@bufbuild/protobuf';
import type { BlockIdentity } from '../kvbm/block.ts';
import type { BlockLayout, KvDtype } from '../kvbm/layout.ts';
import {
  type KvBlockLayout,
  KvBlockLayoutSchema,
  type WantedBlock,
  WantedBlockSchema,
} from '../proto/gen/stator/v1/kv_pb.js';

export const layoutToWire = (layout: BlockLayout): KvBlockLayout =>
  create(KvBlockLayoutSchema, { ...layout });

/** Only to be compared with ours (`requireSameLayout`), so that a strange dtype needs no check of its own. */
export function layoutFromWire(wire: KvBlockLayout | undefined): BlockLayout {
  const { $typeName: _, ...layout } = wire ?? create(KvBlockLayoutSchema);
  return { ...layout, dtype: layout.dtype as KvDtype };
}

export interface Wanted {
  readonly index: number;
  readonly slot: number;
  readonly identity: BlockIdentity;
}

export const wantedToWire = ({ index, slot, identity }: Wanted): WantedBlock =>
  create(WantedBlockSchema, {
    index,
    slot,
    sequenceHash: identity.hash,
    localHash: identity.tokensHash,
    position: identity.position,
    ...(identity.parent === null ? {} : { parentHash: identity.parent }),
  });

export const wantedFromWire = (wire: WantedBlock): Wanted => ({
  index: wire.index,
  slot: wire.slot,
  identity: {
    hash: wire.sequenceHash,
    parent: wire.parentHash ?? null,
    tokensHash: wire.localHash,
    position: wire.position,
  },
});
