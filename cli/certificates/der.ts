/** Values in DER (ITU-T X.690), as many kinds as a certificate has. Pure. */

const tagged = (tag: number, ...contents: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(contents);
  return Buffer.concat([Buffer.from([tag]), length(body.length), body]);
};

function length(size: number): Buffer {
  if (size < 128) return Buffer.from([size]);
  const bytes = Buffer.from(size.toString(16).padStart(size > 0xff ? 4 : 2, '0'), 'hex');
  return Buffer.concat([Buffer.from([0x80 | bytes.length]), bytes]);
}

export const sequence = (...items: readonly Buffer[]): Buffer => tagged(0x30, ...items);
export const set = (...items: readonly Buffer[]): Buffer => tagged(0x31, ...items);
export const octets = (bytes: Buffer): Buffer => tagged(0x04, bytes);
export const text = (value: string): Buffer => tagged(0x0c, Buffer.from(value));
export const boolean = (value: boolean): Buffer => tagged(0x01, Buffer.from([value ? 0xff : 0]));
/** `[number]`, around a value or in place of its tag. */
export const around = (number: number, value: Buffer): Buffer => tagged(0xa0 | number, value);
export const inPlaceOf = (number: number, bytes: Buffer): Buffer => tagged(0x80 | number, bytes);

/** A whole number that is not negative, from its bytes. */
export const integer = (bytes: Buffer): Buffer =>
  tagged(0x02, (bytes[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.from([0]), bytes]) : bytes);

/** `unused`: bits at the end of the last byte. */
export const bits = (bytes: Buffer, unused = 0): Buffer => tagged(0x03, Buffer.from([unused]), bytes);

/** Years 2050 and later would want another kind; a limit says that there are none. */
export const time = (atMs: number): Buffer =>
  tagged(0x17, Buffer.from(`${new Date(atMs).toISOString().slice(2, 19).replace(/[-T:]/g, '')}Z`));

export function objectId(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  return tagged(0x06, Buffer.from([first * 40 + second, ...rest.flatMap(base128)]));
}

function base128(value: number): number[] {
  const digits = [value & 0x7f];
  for (let rest = value >> 7; rest > 0; rest >>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}
