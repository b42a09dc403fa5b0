/** The tensor list of a GGUF header, and the check that every tensor's data lies within the file. */

import type { ByteCursor } from './cursor.ts';

export interface GgufTensor {
  name: string;
  dimensions: number[];
  type: number;
  /** Where in the file the type (u32) and, right behind it, the offset (u64) are written. */
  typeAt: number;
  /** From the start of the data section, in bytes. */
  offset: number;
}

const MAX_DIMENSIONS = 4;

/** Elements per block and bytes per block by ggml type; types not listed are checked by their offset only. */
const BLOCKS: Readonly<Record<number, readonly [elements: number, bytes: number]>> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  30: [1, 2],
};

export function readTensorInfo(cursor: ByteCursor, fileBytes: number): GgufTensor {
  const name = cursor.text(fileBytes);
  const count = cursor.u32();
  if (count > MAX_DIMENSIONS)
    throw new RangeError(`has ${count} dimensions for the tensor ${JSON.stringify(name)}`);
  const dimensions = Array.from({ length: count }, () => cursor.u64());
  return { name, dimensions, typeAt: cursor.at, type: cursor.u32(), offset: cursor.u64() };
}

export function checkTensors(
  tensors: readonly GgufTensor[],
  file: { dataStart: number; fileBytes: number },
): void {
  const seen = new Set<string>();
  for (const tensor of tensors) {
    const label = `the tensor ${JSON.stringify(tensor.name)}`;
    if (seen.has(tensor.name)) throw new RangeError(`has ${label} twice`);
    seen.add(tensor.name);
    const end = file.dataStart + tensor.offset + tensorBytes(tensor);
    if (!(end <= file.fileBytes)) {
      throw new RangeError(`is cut off: ${label} ends at byte ${end}, the file has ${file.fileBytes}`);
    }
  }
}

/** 0 for types that are not listed. */
export function tensorBytes(tensor: GgufTensor): number {
  const block = BLOCKS[tensor.type];
  if (block === undefined) return 0;
  const elements = tensor.dimensions.reduce((product, n) => product * n, 1);
  return Math.ceil(elements / block[0]) * block[1];
}
