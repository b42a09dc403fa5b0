/**
 * One array of numbers as a `.npy` file (NumPy's format, versions 1 to 3): read with any of NumPy's number types, either byte
 * order and either memory order; written as little-endian float64 in C order, version 1.
 *
 * Values become doubles in C order. Objects are refused: to read them is to run what the file says. (The npm package npyjs
 * reads neither big-endian files nor says that a file ends early.)
 */

import { StatorError } from '../../durable/runtime/errors.ts';

export interface NpyArray {
  readonly shape: readonly number[];
  /** In C order: the last index runs fastest. */
  readonly values: Float64Array;
}

/** How one value is read; names as NumPy's, without the byte order. */
const READERS: Readonly<
  Record<string, { bytes: number; read(view: DataView, at: number, little: boolean): number }>
> = {
  f8: { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) },
  f4: { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) },
  i8: { bytes: 8, read: (view, at, little) => exact(view.getBigInt64(at, little)) },
  u8: { bytes: 8, read: (view, at, little) => exact(view.getBigUint64(at, little)) },
  i4: { bytes: 4, read: (view, at, little) => view.getInt32(at, little) },
  u4: { bytes: 4, read: (view, at, little) => view.getUint32(at, little) },
  i2: { bytes: 2, read: (view, at, little) => view.getInt16(at, little) },
  u2: { bytes: 2, read: (view, at, little) => view.getUint16(at, little) },
  i1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  u1: { bytes: 1, read: (view, at) => view.getUint8(at) },
};

const MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
/** The header is filled up to a multiple of this. */
const ALIGNMENT = 64;

/** `name` is what errors call it. Throws `invalid_request`. */
export function readNpy(bytes: Uint8Array, name: string): NpyArray {
  const { descr, isFortran, shape, dataAt } = readHeader(bytes, name);
  const reader = READERS[descr.slice(1)];
  if (reader === undefined) throw invalid(name, `has values of type ${descr}, want numbers`);
  const count = shape.reduce((product, length) => product * length, 1);
  const there = bytes.length - dataAt;
  if (there !== count * reader.bytes) {
    throw invalid(
      name,
      `wants ${count * reader.bytes} bytes for shape (${shape.join(', ')}) and has ${there}`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset + dataAt, there);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) values[i] = reader.read(view, i * reader.bytes, descr[0] !== '>');
  return { shape, values: isFortran ? inCOrder(values, shape) : values };
}

export function writeNpy({ shape, values }: NpyArray): Uint8Array {
  const tuple = shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
  const fields = `{'descr': '<f8', 'fortran_order': False, 'shape': ${tuple}, }`;
  const prefix = MAGIC.length + 4;
  const headLength = Math.ceil((prefix + fields.length + 1) / ALIGNMENT) * ALIGNMENT;
  const bytes = new Uint8Array(headLength + 8 * values.length);
  const view = new DataView(bytes.buffer);
  bytes.set([...MAGIC, 1, 0]);
  view.setUint16(MAGIC.length + 2, headLength - prefix, true);
  bytes.set(new TextEncoder().encode(`${fields.padEnd(headLength - prefix - 1)}\n`), prefix);
  values.forEach((value, i) => {
    view.setFloat64(headLength + 8 * i, value, true);
  });
  return bytes;
}

function readHeader(bytes: Uint8Array, name: string) {
  if (bytes.length < 12 || MAGIC.some((byte, i) => bytes[i] !== byte))
    throw invalid(name, 'is no .npy array');
  const major = bytes[6]!;
  if (major < 1 || major > 3) throw invalid(name, `is of version ${major} of the .npy format, want 1 to 3`);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const from = major === 1 ? 10 : 12;
  const dataAt = from + (major === 1 ? view.getUint16(8, true) : view.getUint32(8, true));
  if (dataAt > bytes.length) throw invalid(name, 'ends within its header');
  const text = new TextDecoder().decode(bytes.subarray(from, dataAt));
  const descr = /'descr':\s*'([<>|=]?\w+)'/.exec(text)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(text)?.[1];
  const shape = /'shape':\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || order === undefined || shape === undefined) {
    throw invalid(name, 'has a header that describes no plain array of numbers');
  }
  if (descr.includes('O')) throw invalid(name, 'holds Python objects, which are not read');
  const lengths = shape.split(',').flatMap((part) => (part.trim() === '' ? [] : [Number(part)]));
  return { descr, isFortran: order === 'True', shape: lengths, dataAt };
}

/** From the order in which the first index runs fastest. */
function inCOrder(values: Float64Array, shape: readonly number[]): Float64Array {
  const ordered = new Float64Array(values.length);
  const index = shape.map(() => 0);
  for (let to = 0; to < ordered.length; to++) {
    let from = 0;
    for (let axis = shape.length - 1; axis >= 0; axis--) from = from * shape[axis]! + index[axis]!;
    ordered[to] = values[from]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (++index[axis]! < shape[axis]!) break;
      index[axis] = 0;
    }
  }
  return ordered;
}

/** Beyond 2^53 a double would be another number; no profile has such. */
function exact(value: bigint): number {
  return BigInt(Number(value)) === value ? Number(value) : Number.NaN;
}

const invalid = (name: string, what: string) =>
  new StatorError('invalid_request', `${name} ${what}`, { param: name });
