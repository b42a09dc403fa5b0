/** What transfers count, by names behind the prefix. `side`: `source` pushes, `reader` pulls. */

import type { Metrics } from '../../durable/runtime/metrics.ts';
import type { BackendName } from './backend.ts';
import type { TransferFaultName } from './fault.ts';

export type TransferSide = 'source' | 'reader';

export interface TransferMetrics {
  moved(side: TransferSide, backend: BackendName, moved: { blocks: number; bytes: number }): void;
  fault(side: TransferSide, backend: BackendName | null, fault: TransferFaultName): void;
  /** Grants that live, at the source. */
  grants(change: 1 | -1): void;
  /** Blocks that the source holds for readers. */
  held(change: number): void;
  /** Slots of a reader that are kept until it is sure that the source does not write them any more. */
  quarantined(change: number): void;
}

export function transferMetrics(metrics: Metrics): TransferMetrics {
  const blocks = metrics.counter('transfer_blocks_total', 'Blocks moved between workers.', [
    'side',
    'backend',
  ]);
  const bytes = metrics.counter('transfer_bytes_total', 'Bytes moved between workers.', ['side', 'backend']);
  const faults = metrics.counter('transfer_faults_total', 'Transfers that ended early, by what went wrong.', [
    'side',
    'backend',
    'fault',
  ]);
  const grants = metrics.gauge('transfer_grants', 'Readers that this worker pushes blocks to.').labels();
  const held = metrics.gauge('transfer_held_blocks', 'Blocks held for readers.').labels();
  const quarantined = metrics
    .gauge('transfer_quarantined_blocks', 'Slots kept until a lost source cannot write them any more.')
    .labels();
  return {
    moved(side, backend, moved) {
      blocks.labels(side, backend).add(moved.blocks);
      bytes.labels(side, backend).add(moved.bytes);
    },
    fault: (side, backend, fault) => faults.labels(side, backend ?? 'none', fault).add(),
    grants: (change) => grants.add(change),
    held: (change) => held.add(change),
    quarantined: (change) => quarantined.add(change),
  };
}
