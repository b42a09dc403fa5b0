/**
 * UTF-8 by the WHATWG rules (https://encoding.spec.whatwg.org/#utf-8-decoder), for text that arrives in pieces:
 * how many last bytes may still become a character, and decoding where every invalid part is one U+FFFD.
 */

/** How many last bytes are the beginning of a character that later bytes could complete: 0 to 3. */
export function incompleteTailBytes(bytes: Uint8Array): number {
  const end = bytes.length;
  for (let back = 1; back <= 3 && back <= end; back++) {
    const lead = bytes[end - back]!;
    if (isContinuation(lead)) continue;
    if (sequenceLength(lead) <= back) return 0;
    if (back > 1 && !mayFollow(lead, bytes[end - back + 1]!)) return 0;
    return back;
  }
  return 0;
}

/** Invalid parts become U+FFFD; a byte order mark is kept. */
export function decodeUtf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** Length that a first byte announces; 1 for bytes that can begin nothing longer. */
function sequenceLength(lead: number): number {
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 1;
}

/** Some first bytes allow fewer second bytes: no overlong forms, no surrogates, nothing above U+10FFFF. */
function mayFollow(lead: number, second: number): boolean {
  switch (lead) {
    case 0xe0:
      return second >= 0xa0;
    case 0xed:
      return second <= 0x9f;
    case 0xf0:
      return second >= 0x90;
    case 0xf4:
      return second <= 0x8f;
    default:
      return true;
  }
}
