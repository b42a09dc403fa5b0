/**
 * Text that is put together from very many small pieces, as where every character of a megabyte is escaped: code units in
 * one buffer, in place of a string per piece. One writer for all, since no reader is left between `begin` and `take`.
 */

const KEPT_UNITS = 1 << 16;

/** Up to here, as a token has it, single characters are put together faster than a buffer is read. */
const FEW_UNITS = 24;

let units = new Uint16Array(KEPT_UNITS);
let length = 0;

export const textWriter = {
  begin(): void {
    length = 0;
  },

  /** `text` from `from` to `to`. */
  copy(text: string, from: number, to: number): void {
    if (length + to - from > units.length) grow(to - from);
    for (let at = from; at < to; at++) units[length++] = text.charCodeAt(at);
  },

  take(): string {
    if (length <= FEW_UNITS) return few();
    const text = Buffer.from(units.buffer, 0, length * 2).toString('utf16le');
    if (units.length > KEPT_UNITS) units = new Uint16Array(KEPT_UNITS);
    return text;
  },
};

function few(): string {
  let text = '';
  for (let at = 0; at < length; at++) text += String.fromCharCode(units[at]!);
  return text;
}

function grow(missing: number): void {
  const larger = new Uint16Array(Math.max(units.length * 2, length + missing));
  larger.set(units.subarray(0, length));
  units = larger;
}
