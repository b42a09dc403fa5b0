/** A vector as JSON: numbers in as many digits as a 32-bit float has, or base64 of its little-endian bytes. */

/** Digits that tell any two 32-bit floats apart. */
const DIGITS = 9;

/** One element of `data`. */
export function embeddingEntry(vector: Uint8Array, index: number, encoding: 'float' | 'base64'): string {
  const embedding = encoding === 'base64' ? `"${base64(vector)}"` : `[${numbers(vector)}]`;
  return `{"object":"embedding","index":${index},"embedding":${embedding}}`;
}

const base64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes));

function numbers(bytes: Uint8Array): string {
  const floats = new Float32Array(bytes.slice().buffer);
  return Array.from(floats, (value) => Number(value.toPrecision(DIGITS))).join();
}
