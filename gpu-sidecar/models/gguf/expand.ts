/**
 * A 16-bit model rewritten with F32 tensors. llama.cpp multiplies F16 weights with activations rounded to F16, and a
 * difference in the last bit (another batch, another place in the cache) then tips a rounding now and then, and with it a
 * token. With F32 weights it does not. Exact: every F16 and BF16 number is an F32 number. For small models only.
 */

import { readFile, writeFile } from 'node:fs/promises';
import type { GgufHeader } from './reader.ts';
import { type GgufTensor, tensorBytes } from './tensors.ts';

const F32 = 0;
const F16 = 1;
const BF16 = 30;

/** Whether all tensors are F32, F16 or BF16, and whether all are F32 already. */
export function floatKind(header: GgufHeader): 'f32' | 'f16' | 'other' {
  const types = new Set(header.tensors.map(({ type }) => type));
  if ([...types].every((type) => type === F32)) return 'f32';
  return [...types].every((type) => type === F32 || type === F16 || type === BF16) ? 'f16' : 'other';
}

/** Writes the model with F32 tensors to `target`; its tensors must be F32, F16 or BF16. */
export async function writeAsF32(header: GgufHeader, target: string): Promise<void> {
  const source = await readFile(header.path);
  const head = Buffer.from(source.subarray(0, header.dataStart));
  const parts: Uint8Array[] = [head];
  let offset = 0;
  for (const tensor of header.tensors) {
    const data = asF32(tensor, source.subarray(header.dataStart + tensor.offset));
    head.writeUInt32LE(F32, tensor.typeAt);
    head.writeBigUInt64LE(BigInt(offset), tensor.typeAt + 4);
    const padding = (header.alignment - (data.length % header.alignment)) % header.alignment;
    parts.push(data, new Uint8Array(padding));
    offset += data.length + padding;
  }
  await writeFile(target, parts);
}

function asF32(tensor: GgufTensor, data: Uint8Array): Uint8Array {
  const bytes = data.subarray(0, tensorBytes(tensor));
  if (tensor.type === F32) return bytes;
  const halves = new Uint16Array(new Uint8Array(bytes).buffer);
  const words = new Uint32Array(halves.length);
  const widen = tensor.type === F16 ? widenF16 : (half: number) => half << 16;
  for (let i = 0; i < halves.length; i++) words[i] = widen(halves[i]!);
  return new Uint8Array(words.buffer);
}

/** Bits of the F32 number that equals an F16 number. */
function widenF16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return sign | 0x7f800000 | (fraction << 13);
  if (exponent > 0) return sign | ((exponent + 112) << 23) | (fraction << 13);
  if (fraction === 0) return sign;
  const shift = Math.clz32(fraction) - 21;
  return sign | ((113 - shift) << 23) | ((fraction << (shift + 13)) & 0x7fffff);
}
