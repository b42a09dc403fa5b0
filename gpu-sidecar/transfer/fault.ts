/** What goes wrong between two ends of a transfer. A closed list: labels of `transfer_faults_total` and reasons that a pull ends with. */

import { StatorError } from '../../durable/runtime/errors.ts';

const TRANSFER_FAULTS = {
  /** No connection to the peer, or it broke. */
  unreachable: 'the peer cannot be reached',
  /** The peer is there and will not: token, no KV memory, too many readers. */
  refused: 'the peer refuses',
  layout: 'the blocks of the two ends are laid out differently',
  no_backend: 'the two ends have no way in common to move blocks',
  stale_handle: 'a capability, window or peer of an earlier life was used',
  lease_ended: 'the lease ran out',
  missing: 'the peer does not have the block and will not get it',
  no_room: 'there is no room for the block',
  checksum: 'the bytes that arrived are not those of the block',
  short_read: 'the connection ended in the middle of a block',
  reset: 'the connection for blocks broke',
  stalled: 'the peer said nothing for too long',
  protocol: 'the peer said what makes no sense',
  backend: 'the way that moves blocks failed',
  aborted: 'the caller gave up',
} as const;

export type TransferFaultName = keyof typeof TRANSFER_FAULTS;

export class TransferFault extends Error {
  readonly fault: TransferFaultName;

  constructor(fault: TransferFaultName, detail?: string, cause?: unknown) {
    super(
      detail === undefined ? TRANSFER_FAULTS[fault] : `${TRANSFER_FAULTS[fault]}: ${detail}`,
      cause === undefined ? undefined : { cause },
    );
    this.name = 'TransferFault';
    this.fault = fault;
  }
}

export const isTransferFault = (name: string): name is TransferFaultName =>
  Object.hasOwn(TRANSFER_FAULTS, name);

/** What a catch clause got, as a fault; `otherwise` for what is none of ours. */
export function toTransferFault(thrown: unknown, otherwise: TransferFaultName): TransferFault {
  if (thrown instanceof TransferFault) return thrown;
  if (thrown instanceof StatorError && thrown.code === 'card_mismatch')
    return new TransferFault('layout', thrown.message, thrown);
  const { name, message } = thrown as { name?: string; message?: string };
  if (name === 'AbortError') return new TransferFault('aborted', undefined, thrown);
  return new TransferFault(otherwise, message ?? String(thrown), thrown);
}
