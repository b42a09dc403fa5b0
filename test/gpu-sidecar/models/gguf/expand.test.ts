/** 16-bit models as F32: every number must be the same number. */

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { floatKind, writeAsF32 } from '../../../../gpu-sidecar/models/gguf/expand.ts';
import { readGgufHeader } from '../../../../gpu-sidecar/models/gguf/reader.ts';
import { GgufBytes } from './gguf-bytes.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-expand-'));
afterAll(() => rmSync(folder, { recursive: true }));

const F16_NUMBERS: [bits: number, value: number][] = [
  [0x0000, 0],
  [0x8000, -0],
  [0x3c00, 1],
  [0xc000, -2],
  [0x3555, 0.333251953125],
  [0x7bff, 65504],
  [0x0400, 2 ** -14],
  [0x03ff, 1023 * 2 ** -24],
  [0x0001, 2 ** -24],
  [0x8200, -(2 ** -15)],
  [0x7c00, Number.POSITIVE_INFINITY],
  [0xfc00, Number.NEGATIVE_INFINITY],
];

describe('a 16-bit model as F32', () => {
  it('has the same numbers, and its F32 tensors unchanged', async () => {
    const bytes = new GgufBytes().u32(0x46554747).u32(3).u64(3).u64(0);
    bytes.text('half').u32(1).u64(F16_NUMBERS.length).u32(1).u64(0);
    bytes.text('brain').u32(1).u64(2).u32(30).u64(32);
    bytes.text('whole').u32(1).u64(2).u32(0).u64(64).pad(32);
    for (let i = 0; i < F16_NUMBERS.length; i += 2)
      bytes.u32(F16_NUMBERS[i]![0] | (F16_NUMBERS[i + 1]![0] << 16));
    bytes.pad(32).u32(0xc0403f80).pad(32).u32(0x3f800000).u32(0x40490fdb);
    const path = join(folder, 'half.gguf');
    writeFileSync(path, bytes.done());
    const header = await readGgufHeader(path);
    expect(floatKind(header)).toBe('f16');
    const target = join(folder, 'whole.gguf');
    await writeAsF32(header, target);
    const wide = await readGgufHeader(target);
    expect(floatKind(wide)).toBe('f32');
    const file = readFileSync(target);
    const numbers = wide.tensors.map(({ offset, dimensions }) =>
      Array.from({ length: dimensions[0]! }, (_, i) => file.readFloatLE(wide.dataStart + offset + 4 * i)),
    );
    expect(numbers).toEqual([F16_NUMBERS.map(([, value]) => value), [1, -3], [1, Math.fround(Math.PI)]]);
    expect(wide.tensors.every(({ offset }) => offset % 32 === 0)).toBe(true);
  });
});
