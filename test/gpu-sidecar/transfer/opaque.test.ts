/** Descriptions from outside: read as they were written, or refused. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { TransferFault } from '../../../gpu-sidecar/transfer/fault.ts';
import { HostProcess } from '../../../gpu-sidecar/transfer/host-process.ts';
import { readOpaque, writeOpaque } from '../../../gpu-sidecar/transfer/opaque.ts';
import { wantedFromWire, wantedToWire } from '../../../gpu-sidecar/transfer/wire.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('what is written is read', () => {
  const process = { boot: 'b'.repeat(36), pid: 4, started: '77' };
  expect(readOpaque(HostProcess, writeOpaque(process))).toEqual(process);
});

test('any other bytes are a fault of the protocol', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array(),
        fc.json().map((text) => Buffer.from(text)),
      ),
      (bytes) => {
        try {
          readOpaque(HostProcess, bytes);
          throw new Error('taken');
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(TransferFault);
          expect((thrown as TransferFault).fault).toBe('protocol');
        }
      },
    ),
  );
});

test('wanted blocks are the same on the wire and off it', () => {
  const identity = fc.record({
    hash: u64,
    parent: fc.option(u64),
    tokensHash: u64,
    position: u32,
  });
  fc.assert(
    fc.property(fc.record({ index: u32, slot: u32, identity }), (wanted) => {
      expect(wantedFromWire(wantedToWire(wanted))).toEqual(wanted);
    }),
  );
});
