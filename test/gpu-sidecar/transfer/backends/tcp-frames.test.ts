/** Frames of the connection for blocks: what is written is read, and nothing else is taken for one. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeFrame,
  decodeHello,
  encodeBlock,
  encodeHello,
  encodeRefusal,
  FRAME_BYTES,
} from '../../../../gpu-sidecar/transfer/backends/tcp-frames.ts';

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

test('a block frame is read as it was written', () => {
  fc.assert(
    fc.property(fc.record({ index: u32, length: u32, hash: u64 }), (frame) => {
      expect(decodeFrame(encodeBlock(frame))).toEqual(frame);
    }),
  );
});

test('a hello has the capability, a refusal is one', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (capability) => {
      expect([...decodeHello(encodeHello(capability))!]).toEqual([...capability]);
    }),
  );
  expect(decodeFrame(encodeRefusal())).toBe('refused');
});

test('other bytes are no frames', () => {
  const short = fc.uint8Array({ maxLength: FRAME_BYTES - 1 }).map((bytes) => bytes.subarray(0, bytes.length));
  fc.assert(
    fc.property(
      fc.oneof(short, fc.uint8Array({ minLength: FRAME_BYTES, maxLength: FRAME_BYTES })),
      (bytes) => {
        const ours =
          bytes.length === FRAME_BYTES && new DataView(bytes.buffer).getUint32(0, true) === 0x5646_4b53;
        fc.pre(!ours);
        const whole = bytes.length === FRAME_BYTES ? bytes : new Uint8Array(FRAME_BYTES);
        expect(decodeFrame(whole)).toBe(null);
        expect(decodeHello(whole)).toBe(null);
      },
    ),
  );
});
