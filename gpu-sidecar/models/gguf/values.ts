/** GGUF metadata values: thirteen types, arrays of any of them (one fact per row of the table). */

import type { ByteCursor } from './cursor.ts';

export type GgufValue = number | bigint | boolean | string | GgufValue[];

const STRING = 8;
const ARRAY = 9;
const ARRAY_DEPTH = 4;

/** By type number: bytes, and how to read one. */
const FIXED: Readonly<Record<number, { bytes: number; read(view: DataView, at: number): GgufValue }>> = {
  0: { bytes: 1, read: (view, at) => view.getUint8(at) },
  1: { bytes: 1, read: (view, at) => view.getInt8(at) },
  2: { bytes: 2, read: (view, at) => view.getUint16(at, true) },
  3: { bytes: 2, read: (view, at) => view.getInt16(at, true) },
  4: { bytes: 4, read: (view, at) => view.getUint32(at, true) },
  5: { bytes: 4, read: (view, at) => view.getInt32(at, true) },
  6: { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  7: { bytes: 1, read: (view, at) => view.getUint8(at) !== 0 },
  10: { bytes: 8, read: (view, at) => view.getBigUint64(at, true) },
  11: { bytes: 8, read: (view, at) => view.getBigInt64(at, true) },
  12: { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
};

/** Reads a type number and its value. `fileBytes` bounds every claimed length. */
export function readValue(cursor: ByteCursor, place: { key: string; fileBytes: number }): GgufValue {
  return readTyped(cursor, cursor.u32(), { ...place, depth: 0 });
}

interface Place {
  key: string;
  fileBytes: number;
  depth: number;
}

function readTyped(cursor: ByteCursor, type: number, place: Place): GgufValue {
  if (type === STRING) return cursor.text(place.fileBytes);
  if (type === ARRAY) return readArray(cursor, place);
  const fixed = FIXED[type];
  if (fixed === undefined)
    throw new RangeError(`has the unknown type ${type} at ${JSON.stringify(place.key)}`);
  return fixed.read(cursor.view, cursor.take(fixed.bytes));
}

function readArray(cursor: ByteCursor, place: Place): GgufValue[] {
  const type = cursor.u32();
  const count = cursor.u64();
  if (place.depth === ARRAY_DEPTH)
    throw new RangeError(`nests arrays too deep at ${JSON.stringify(place.key)}`);
  if (count * (FIXED[type]?.bytes ?? 8) > place.fileBytes) {
    throw new RangeError(`claims an array of ${count} at ${JSON.stringify(place.key)}`);
  }
  const items: GgufValue[] = [];
  const inside = { ...place, depth: place.depth + 1 };
  for (let i = 0; i < count; i++) items.push(readTyped(cursor, type, inside));
  return items;
}
