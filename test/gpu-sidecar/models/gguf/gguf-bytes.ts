/** Writes small GGUF headers for tests, byte by byte, so that each can be broken on purpose. */

export type Field = [type: 'u32' | 'f32' | 'string' | 'bool' | 'strings' | 'u32s' | 'i32s', value: unknown];

const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;

const ITEM_TYPE = { strings: TYPE.string, u32s: TYPE.u32, i32s: TYPE.i32 } as const;

export class GgufBytes {
  #bytes: number[] = [];

  u32(value: number): this {
    const view = new DataView(new ArrayBuffer(4));
    view.setUint32(0, value, true);
    this.#bytes.push(...new Uint8Array(view.buffer));
    return this;
  }

  f32s(values: readonly number[]): this {
    for (const byte of new Uint8Array(Float32Array.from(values).buffer)) this.#bytes.push(byte);
    return this;
  }

  u64(value: number | bigint): this {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, BigInt(value), true);
    this.#bytes.push(...new Uint8Array(view.buffer));
    return this;
  }

  text(value: string): this {
    const bytes = new TextEncoder().encode(value);
    this.u64(bytes.length);
    this.#bytes.push(...bytes);
    return this;
  }

  field(key: string, [type, value]: Field): this {
    this.text(key);
    if (type === 'u32') return this.u32(TYPE.u32).u32(value as number);
    if (type === 'f32') return this.u32(TYPE.f32).f32s([value as number]);
    if (type === 'string') return this.u32(TYPE.string).text(value as string);
    if (type === 'bool') {
      this.u32(TYPE.bool);
      this.#bytes.push(value ? 1 : 0);
      return this;
    }
    const items = value as (string | number)[];
    this.u32(TYPE.array).u32(ITEM_TYPE[type]).u64(items.length);
    for (const item of items) typeof item === 'string' ? this.text(item) : this.u32(item);
    return this;
  }

  pad(alignment: number): this {
    while (this.#bytes.length % alignment !== 0) this.#bytes.push(0);
    return this;
  }

  zeros(count: number): this {
    for (let i = 0; i < count; i++) this.#bytes.push(0);
    return this;
  }

  done(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** A whole file: metadata fields and one F32 tensor of 8 numbers. */
export function ggufFile(fields: Record<string, Field>): Uint8Array {
  const entries = Object.entries(fields);
  const bytes = new GgufBytes().u32(0x46554747).u32(3).u64(1).u64(entries.length);
  for (const [key, field] of entries) bytes.field(key, field);
  return bytes.text('weight').u32(1).u64(8).u32(0).u64(0).pad(32).zeros(32).done();
}
